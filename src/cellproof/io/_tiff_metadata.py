"""What TIFF tags, ImageJ's description and OME-XML say about pixels and channels."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

_MICROMETERS = (
    ("µm", 1.0),
    ("μm", 1.0),
    ("um", 1.0),
    ("micron", 1.0),
    ("microns", 1.0),
    ("micrometer", 1.0),
    ("micrometer", 1.0),
    ("\\u00b5m", 1.0),
    ("nm", 1e-3),
    ("pm", 1e-6),
    ("å", 1e-4),
    ("mm", 1e3),
    ("cm", 1e4),
    ("m", 1e6),
    ("inch", 25_400.0),
    ("in", 25_400.0),
)

# Print resolutions (72 to 600 dpi are 350 to 42 µm) are no microscope's; no light microscope image has
# pixels below 10 nm or, with the coarsest objective and camera, above 20 µm.
_SMALLEST_SENSIBLE_UM = 0.01
_LARGEST_SENSIBLE_UM = 20.0

_INCH, _CENTIMETRE = 2, 3


def pixel_size_um(tif: Any) -> float | None:
    """Width of a pixel in µm from OME-XML, ImageJ or the resolution tags; None where none says so."""
    if tif.is_ome:
        return _ome_pixel_size_um(tif.ome_metadata)
    per_unit = _pixels_per_unit(tif.pages[0])
    if per_unit is None:
        return None
    if tif.is_imagej:
        unit = str((tif.imagej_metadata or {}).get("unit", ""))
        return _in_micrometers(1 / per_unit, unit)
    unit_code = tif.pages[0].tags.valueof(296, default=_INCH)
    size = _in_micrometers(1 / per_unit, {_INCH: "inch", _CENTIMETRE: "cm"}.get(int(unit_code), ""))
    return size if size is not None and _SMALLEST_SENSIBLE_UM <= size <= _LARGEST_SENSIBLE_UM else None


def channel_names(tif: Any) -> tuple[str, ...]:
    """Channel names of the first image in OME-XML; empty where a channel has none."""
    pixels = _ome_pixels(tif.ome_metadata) if tif.is_ome else None
    if pixels is None:
        return ()
    names = tuple(channel.get("Name", "") for channel in pixels.findall("{*}Channel"))
    return names if all(names) else ()


def _ome_pixels(xml: str | None) -> ElementTree.Element | None:
    try:
        return ElementTree.fromstring(xml or "").find("{*}Image/{*}Pixels")
    except ElementTree.ParseError:
        return None


def _ome_pixel_size_um(xml: str | None) -> float | None:
    pixels = _ome_pixels(xml)
    if pixels is None or "PhysicalSizeX" not in pixels.attrib:
        return None
    try:
        size = float(pixels.attrib["PhysicalSizeX"])
    except ValueError:
        return None
    return _in_micrometers(size, pixels.get("PhysicalSizeXUnit", "µm"))


def _pixels_per_unit(page: Any) -> float | None:
    """The XResolution tag as a number; None where it is absent or a fraction of zero."""
    value = page.tags.valueof(282)
    if not isinstance(value, tuple) or len(value) != 2 or 0 in value:
        return None
    return float(value[0]) / float(value[1])


def _in_micrometers(size: float, unit: str) -> float | None:
    factor = dict(_MICROMETERS).get(unit.strip().lower())
    if factor is None or not math.isfinite(size) or size <= 0:
        return None
    return size * factor
