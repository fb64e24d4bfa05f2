"""Simulated images and their truth on disk, as a data set to train on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from ... import __version__
from ...checks import InputError, UsageError
from ...data.description import FILE_NAME, Description, description_to_toml
from ...io import folder_lock, make_folder, read_json, remove_leftovers, write_csv, write_json, write_labels, write_text
from ...io.png import write_png
from ...simulate import Kind, Picture, Quality, load, names

STATE_FILE = "simulation.json"

ATTRIBUTES = "attributes.csv"

_IMAGES, _MASKS, _CELLS = "images", "masks", "cells"

_LICENSE = "simulated; no rights reserved"


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What determines every image of a folder; it is kept there.

    Attributes:
        kind: One of `kinds`.
        seed: Image k is a function of this and k.
        size: Rows and columns of each image.
        quality: How good the images are.
        cellproof: Version that draws them; another may draw others.
    """

    kind: str
    seed: int = 0
    size: int = 512
    quality: Quality = "good"
    cellproof: str = __version__


@dataclass(frozen=True)
class Simulation:
    """What a folder holds after `simulate_files`.

    Attributes:
        out: The folder.
        made: Names of the images that were drawn now.
        kept: Names of those that were complete before.
    """

    out: Path
    made: tuple[str, ...]
    kept: tuple[str, ...]


def kinds() -> dict[str, Kind]:
    """Specimens by name; a file in ``simulate`` is one.

    Example:
        >>> kinds()["liver"].classes
        ('cytoplasm', 'membrane', 'nucleus')
    """
    return {name: load(name) for name in names()}


def simulate_files(
    plan: Plan, out: str | Path, *, count: int, progress: Callable[[int, int], None] = lambda done, wanted: None
) -> Simulation:
    """Draw images into a folder that `train` reads: ``images``, ``masks``, ``cells``, a table and ``dataset.toml``.

    Image k is a function of the plan and k alone; what is there already is kept, and more than ``count`` too.

    Args:
        plan: What to draw.
        out: The folder; made where it is missing.
        count: Images wanted there.
        progress: Told the number of images that are there and wanted.

    Raises:
        UsageError: No such kind or quality, or the folder holds images of another plan.
        InputError: The folder holds other things, another process writes there, or it cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     len(simulate_files(Plan("nuclei", seed=0, size=96), folder, count=1).made)
        1
    """
    out, kind = Path(out), _check_plan(plan)
    _check_folder(plan, out)
    make_folder(out)
    with folder_lock(out / ".lock"):
        _begin(plan, kind, out)
        made, kept = [], []
        for number in range(1, count + 1):
            name = _name(plan, number)
            files = _files(out, name, kind)
            if all(path.exists() for path in files.values()):
                kept.append(name)
            else:
                picture = kind.draw(np.random.default_rng([plan.seed, number]), plan.size, plan.quality)
                _write(files, picture, kind)
                made.append(name)
            progress(number, count)
        if kind.attributes is not None:
            _tell(plan, kind.attributes, out, count=count)
    return Simulation(out, tuple(made), tuple(kept))


def _check_plan(plan: Plan) -> Kind:
    """The plan's kind.

    Raises:
        UsageError: There is none of that name, or it does not come in that quality.
    """
    if plan.kind not in names():
        raise UsageError(f"no simulation {plan.kind!r}; expected one of {', '.join(names())}")
    kind = load(plan.kind)
    if plan.quality not in kind.qualities:
        raise UsageError(f"{plan.kind} is simulated in the quality {', '.join(kind.qualities)} only")
    return kind


def _check_folder(plan: Plan, out: Path) -> None:
    """Refuse to mix with what is there.

    Raises:
        UsageError: Images of another plan.
        InputError: Anything else.
    """
    try:
        # Hidden files are the system's, our lock, or what a killed run has left.
        there = sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) if out.is_dir() else []
    except OSError as error:
        raise InputError(f"{out}: cannot be read ({error.strerror}); choose another folder") from error
    if STATE_FILE in there:
        _check_same(plan, _read_plan(out / STATE_FILE), out)
    elif there:
        raise InputError(f"{out}: is not empty (it holds {there[0]}); give an empty or a new folder", argument="out")


def _read_plan(path: Path) -> Plan:
    try:
        return msgspec.convert(read_json(path), Plan)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {error}; give another folder, or remove this one", argument="out") from error


def _check_same(plan: Plan, before: Plan, out: Path) -> None:
    for name in Plan.__struct_fields__:
        was, wanted = getattr(before, name), getattr(plan, name)
        if was != wanted:
            raise UsageError(
                f"{out}: holds images with {name} {was}, not {wanted}; give another folder", argument="out"
            )


def _begin(plan: Plan, kind: Kind, out: Path) -> None:
    """Folders and what describes them; the plan first, for it makes the folder ours."""
    remove_leftovers(out)
    if not (out / STATE_FILE).exists():
        write_json(out / STATE_FILE, plan)
    for folder in (_IMAGES, _MASKS) + ((_CELLS,) if kind.has_cells else ()):
        remove_leftovers(make_folder(out / folder))
    description = Description(
        name=f"simulated {plan.kind}",
        masks=kind.masks,
        classes=kind.classes,
        colors=kind.colors,
        license=_LICENSE,
        source=f"cellproof {plan.cellproof}, simulate {plan.kind}, seed {plan.seed}, quality {plan.quality}",
    )
    if kind.attributes is not None:
        description = msgspec.structs.replace(description, attributes=ATTRIBUTES)
        if not (out / ATTRIBUTES).exists():
            write_csv(out / ATTRIBUTES, {"name": []})
    if not (out / FILE_NAME).exists():
        write_text(out / FILE_NAME, description_to_toml(description))


def _tell(plan: Plan, attributes: Callable[[np.random.Generator], Mapping[str, str]], out: Path, *, count: int) -> None:
    """Write what is told of every image that is there, more than ``count`` of them included."""
    there = {path.stem for path in (out / _IMAGES).glob("*.png")}
    number, rows = 1, list[dict[str, str]]()
    while number <= count or _name(plan, number) in there:
        told = attributes(np.random.default_rng([plan.seed, number]))
        rows.append({"name": _name(plan, number), **told})
        number += 1
    write_csv(out / ATTRIBUTES, {column: [row[column] for row in rows] for column in rows[0]} if rows else {"name": []})


def _name(plan: Plan, number: int) -> str:
    return f"{plan.kind}-{number:04d}"


def _files(out: Path, name: str, kind: Kind) -> dict[str, Path]:
    """Folder → file of an image, in the order in which they are written."""
    files = {_CELLS: out / _CELLS / f"{name}.tif"} if kind.has_cells else {}
    mask = out / _MASKS / (f"{name}.png" if kind.masks == "semantic" else f"{name}.tif")
    return files | {_MASKS: mask, _IMAGES: out / _IMAGES / f"{name}.png"}


def _write(files: Mapping[str, Path], picture: Picture, kind: Kind) -> None:
    if picture.cells is not None:
        write_labels(files[_CELLS], picture.cells)
    if kind.masks == "semantic":
        write_png(files[_MASKS], picture.mask)
    else:
        write_labels(files[_MASKS], picture.mask)
    write_png(files[_IMAGES], picture.image)
