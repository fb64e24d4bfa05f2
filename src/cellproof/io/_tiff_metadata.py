"""What TIFF tags, ImageJ's description and OME-XML say about pixels and channels."""

from __future__ import annotations

import math
import re
from typing import Any

from ..types import Spacing
from ._ome import OmeImage

_MICROMETERS = (
    ("µm", 1.0),
    ("μm", 1.0),
    ("um", 1.0),
    ("micron", 1.0),
    ("microns", 1.0),
    ("micrometer", 1.0),
    ("micrometers", 1.0),
    ("micrometre", 1.0),
    ("micrometres", 1.0),
    ("\\u00b5m", 1.0),
    ("nm", 1e-3),
    ("nanometer", 1e-3),
    ("nanometers", 1e-3),
    ("pm", 1e-6),
    ("å", 1e-4),
    ("mm", 1e3),
    ("millimeter", 1e3),
    ("millimeters", 1e3),
    ("cm", 1e4),
    ("m", 1e6),
    ("meter", 1e6),
    ("meters", 1e6),
    ("metre", 1e6),
    ("metres", 1e6),
    ("inch", 25_400.0),
    ("inches", 25_400.0),
    ("in", 25_400.0),
)

_NO_LENGTH = ("", "pixel", "pixels", "px", "none", "null", "unknown", "reference frame")
"""Units that say that nothing was calibrated."""

_SECONDS = {"": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s", "msec": "ms", "minute": "min", "hour": "h"}
_SECONDS |= {"minutes": "min", "hours": "h", "hr": "h", "day": "d", "days": "d", "µs": "µs", "us": "µs", "ns": "ns"}
_SECONDS |= {"s": "s", "ms": "ms", "min": "min", "h": "h", "d": "d"}

# A super-resolved localization is drawn on pixels of some nm, a slide scanner's overview has some ten µm.
_SMALLEST_UM, _LARGEST_UM = 0.001, 100.0

# Resolution tags and inches stand for the size on paper unless they say what only a microscope has:
# 600 per inch are 42 µm, and no objective and camera together make pixels above 20 µm.
_LARGEST_PRINTED_UM = 20.0

_SMALLEST_Z_UM, _LARGEST_Z_UM = 0.001, 10_000.0

_INCH, _CENTIMETER = 2, 3


def spacing(tif: Any, ome: OmeImage | None) -> tuple[Spacing, tuple[str, ...]]:
    """Distances between pixels, planes and time points, and what is not believed of them.

    Args:
        tif: The open file.
        ome: What its OME-XML says of the image that is read; None for other files.

    Returns:
        The spacing; and a sentence for every size that cannot be a microscope's: outside 1 nm to 100 µm, in no
        unit of length, zero, infinite, or a print resolution.
    """
    if ome is not None:
        return _of_ome(ome.attributes)
    if tif.is_imagej:
        return _of_imagej(tif)
    if tif.is_svs:
        found = re.search(r"\bMPP\s*=\s*([0-9.eE+-]+)", tif.pages[0].description or "")
        if found:
            size = _number(found[1])
            return _settle(size, "µm", size, "µm")
    unit_code = tif.pages[0].tags.valueof(296, default=_INCH)
    unit = {_INCH: "inch", _CENTIMETER: "cm"}.get(int(unit_code), "")
    x, y = _edge(tif.pages[0], 282), _edge(tif.pages[0], 283)
    return _settle(x, unit, y, unit, largest_um=_LARGEST_PRINTED_UM)


def channel_names(tif: Any, ome: OmeImage | None, count: int) -> tuple[str, ...]:
    """Names of ``count`` channels from OME-XML, Micro-Manager or ImageJ's slice labels; empty where none has one."""
    if ome is not None:
        names = ome.channel_names
    else:
        names = _micromanager_names(tif) or (_imagej_names(tif, count) if tif.is_imagej else ())
    if len(names) != count or not any(names):
        return ()
    return tuple(name or f"channel {place}" for place, name in enumerate(names))


def _of_ome(attributes: dict[str, str]) -> tuple[Spacing, tuple[str, ...]]:
    values = {axis: _number(attributes.get(f"PhysicalSize{axis}")) for axis in "XYZ"}
    units = {axis: attributes.get(f"PhysicalSize{axis}Unit", "µm") for axis in "XYZ"}
    found, notes = _settle(values["X"], units["X"], values["Y"], units["Y"])
    z_um = _believed_z(values["Z"], units["Z"])
    t = _number(attributes.get("TimeIncrement"))
    unit = attributes.get("TimeIncrementUnit", "s")
    return _with_planes(found, z_um, t, unit), notes


def _of_imagej(tif: Any) -> tuple[Spacing, tuple[str, ...]]:
    metadata = tif.imagej_metadata or {}
    unit = str(metadata.get("unit", ""))
    x, y = _edge(tif.pages[0], 282), _edge(tif.pages[0], 283)
    is_printed = unit.strip().lower() in ("inch", "inches", "in")
    found, notes = _settle(
        x,
        unit,
        y,
        str(metadata.get("yunit", unit)),
        largest_um=_LARGEST_PRINTED_UM if is_printed else _LARGEST_UM,
    )
    z_um = _believed_z(_number(metadata.get("spacing")), str(metadata.get("zunit", unit)))
    return _with_planes(found, z_um, _number(metadata.get("finterval")), str(metadata.get("tunit", "s"))), notes


def _with_planes(found: Spacing, z_um: float | None, t: float | None, unit: str) -> Spacing:
    known = _SECONDS.get(unit.strip().lower(), "")
    believed = t if known and t is not None and math.isfinite(t) and t > 0 else None
    return Spacing(found.x_um, found.y_um, z_um, believed, known or "s")


def _settle(
    x: float | None, x_unit: str, y: float | None, y_unit: str, *, largest_um: float = _LARGEST_UM
) -> tuple[Spacing, tuple[str, ...]]:
    """Pixel width and height where both are believed; an edge that is not given is as long as the other."""
    if x is None and y is None:
        return Spacing(), ()
    if x is None:
        x, x_unit = y, y_unit
    if y is None:
        y, y_unit = x, x_unit
    assert x is not None
    assert y is not None
    if x_unit.strip().lower() in _NO_LENGTH or y_unit.strip().lower() in _NO_LENGTH:
        return Spacing(), ()
    sizes = [_in_micrometers(x, x_unit), _in_micrometers(y, y_unit)]
    if all(size is not None and _SMALLEST_UM <= size <= largest_um for size in sizes):
        square = math.isclose(*sizes, rel_tol=1e-3)  # type: ignore[arg-type]  # none is None here
        note = f"pixels are not square: {sizes[0]:g} µm wide and {sizes[1]:g} µm high; areas in µm² use both"
        return Spacing(sizes[0], sizes[1]), () if square else (note,)
    return Spacing(), (_disbelief(x, x_unit, y, y_unit, sizes, largest_um),)


def _disbelief(x: float, x_unit: str, y: float, y_unit: str, sizes: list[float | None], largest_um: float) -> str:
    said = f"{x:g} {x_unit}" + ("" if (x, x_unit) == (y, y_unit) else f" × {y:g} {y_unit}")
    if any(size is None for size in sizes):
        known = dict(_MICROMETERS)
        unknown = [unit for unit in (x_unit, y_unit) if unit.strip().lower() not in known]
        why = f"{unknown[0]!r} is no unit of length" if unknown else "a pixel has a positive size"
    elif largest_um < _LARGEST_UM:
        per_inch = f", {1 / x:.0f} per inch" if x_unit.strip().lower().startswith("in") and x else ""
        why = f"that is a resolution for printing{per_inch}, no microscope's"
    else:
        why = "expected 1 nm to 100 µm"
    return f"the file's pixel size {said} is not believed ({why}); sizes are in pixels only"


def _believed_z(size: float | None, unit: str) -> float | None:
    if size is None:
        return None
    # ImageJ writes a negative distance where a stack was taken from the top.
    size_um = _in_micrometers(abs(size), unit)
    return size_um if size_um is not None and _SMALLEST_Z_UM <= size_um <= _LARGEST_Z_UM else None


def _edge(page: Any, tag: int) -> float | None:
    """Edge of a pixel in the unit of the resolution tags; None where the tag is absent, infinite for 0 per unit."""
    value = page.tags.valueof(tag)
    if not isinstance(value, tuple) or len(value) != 2:
        return None
    return float(value[1]) / float(value[0]) if value[0] else math.inf


def _number(value: Any) -> float | None:
    """A number from text or None; NaN for a text that is none."""
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _in_micrometers(size: float, unit: str) -> float | None:
    factor = dict(_MICROMETERS).get(unit.strip().lower())
    if factor is None or not math.isfinite(size) or size <= 0:
        return None
    return size * factor


def _micromanager_names(tif: Any) -> tuple[str, ...]:
    if not tif.is_micromanager:
        return ()
    summary = (tif.micromanager_metadata or {}).get("Summary", {})
    names = summary.get("ChNames", ()) if isinstance(summary, dict) else ()
    return tuple(map(str, names)) if isinstance(names, list | tuple) else ()


def _imagej_names(tif: Any, count: int) -> tuple[str, ...]:
    """From the labels of the slices, whose fastest axis is the channel, or from lines of the image's info."""
    metadata = tif.imagej_metadata or {}
    labels = metadata.get("Labels")
    if isinstance(labels, list) and len(labels) >= count and len(labels) % count == 0:
        # "c:1/3 z:2/5 - DAPI" of Bio-Formats, "DAPI" of a person.
        names = tuple(re.sub(r"^(?:[cztCZT]:\d+/\d+\s*)+(?:-\s*)?", "", str(label)).strip() for label in labels[:count])
        if len(set(names)) == count:
            return names
    found = re.findall(r"^\s*(?:Channel|Ch|Name)\s*#?\s*(\d+)\s*(?:Name)?\s*[=:]\s*(\S.*?)\s*$", _info(metadata), re.M)
    by_number = {int(number): name for number, name in found}
    first = min(by_number, default=0)
    return tuple(by_number.get(first + place, "") for place in range(count)) if by_number else ()


def _info(metadata: dict[str, Any]) -> str:
    info = metadata.get("Info", "")
    return info if isinstance(info, str) else ""
