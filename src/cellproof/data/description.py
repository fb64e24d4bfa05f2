"""What a folder of training data says of itself: its ``dataset.toml``, or what its masks reveal."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import tomli_w

from ..checks import InputError
from ..types import IGNORE, with_current_keys
from .mask_kind import MOST_CLASSES, UNDECIDED, Kind, MaskFacts, color_name, decide_kind, is_foreground, mask_facts

FILE_NAME = "dataset.toml"

LARGEST_IGNORE = 65535


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The ``dataset.toml`` of a folder of training data.

    Attributes:
        name: Name of the data set.
        masks: "semantic": pixel value k is ``classes[k]``; "instances": 0 is background, each object
            has an id of its own.
        classes: Class names; with instances those of the objects, whose ids are 1…K (0 is background).
        colors: ``#rrggbb`` of each class; may be empty.
        ignore: Mask value of pixels without annotation.
        pixel_size_um: Edge of a pixel in µm.
        attributes: File with a table of columns per image, matched by ``name``.
        group: Its column that folds never divide.
        license: License of the images.
        source: Where they come from.
    """

    name: str
    masks: Literal["semantic", "instances"]
    classes: tuple[str, ...] = ("object",)
    colors: tuple[str, ...] = ()
    ignore: int | None = None
    pixel_size_um: float | None = None
    attributes: str = ""
    group: str = ""
    license: str = ""
    source: str = ""


def read_description(folder: Path) -> Description | None:
    """Read the folder's ``dataset.toml``; None where there is none.

    Raises:
        InputError: It is no TOML, has an unknown key, or values that contradict each other.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    try:
        description = msgspec.convert(with_current_keys(msgspec.toml.decode(path.read_bytes())), Description)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {error}; known keys: {', '.join(Description.__struct_fields__)}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{path} cannot be read as TOML: {error}") from error
    problem = _contradiction(description)
    if problem:
        raise InputError(f"{path}: {problem}")
    return description


def description_to_toml(description: Description) -> str:
    """Text of a ``dataset.toml`` that `read_description` reads as the same value."""
    return tomli_w.dumps(msgspec.to_builtins(description))


def describe(folder_name: str, masks: Sequence[np.ndarray]) -> tuple[Description, list[str]]:
    """Find out from masks what a folder without ``dataset.toml`` holds; `describe_facts` of them."""
    return describe_facts(folder_name, [mask_facts(mask) for mask in masks])


def describe_facts(
    folder_name: str, facts: Sequence[MaskFacts], kind: Kind | None = None
) -> tuple[Description, list[str]]:
    """Find out from what masks tell what a folder without ``dataset.toml`` holds.

    Masks of 0 and 1, or 0 and 255, are semantic foreground; few values in many pieces, or side by side in every
    mask, are classes; anything else is object ids. Of color-coded masks the background is black, or the color of
    most pixels where there is no black, and the other colors are classes by their ``#rrggbb`` in ascending order.

    Args:
        folder_name: Becomes the data set's name.
        facts: Of its masks.
        kind: What they hold, where that is known; None decides it from the facts.

    Returns:
        The description, and the guess in a sentence for the user.

    Raises:
        InputError: There is no mask, only empty ones, or masks that may be read both ways.
    """
    if not any(one.values for one in facts):
        raise InputError(
            f"{folder_name}: no annotated pixel in {len(facts)} masks; add masks, or a {FILE_NAME} that describes them"
        )
    kind = kind or decide_kind(facts)
    if kind is None:
        raise InputError(
            f'{folder_name}: {UNDECIDED}; write masks = "instances" (object ids) or masks = "semantic" (classes, '
            f"with their names) into {folder_name}/{FILE_NAME}"
        )
    if any(one.color for one in facts):
        return _describe_colors(folder_name, facts, kind)
    seen = sorted(frozenset[int]().union(*(one.pixels for one in facts)))
    listed = ", ".join(str(value) for value in seen[:6]) + (", …" if len(seen) > 6 else "")
    found = f"{folder_name} has no {FILE_NAME}; its masks hold {listed}: taken for "
    overrule = f'; if that is wrong, write masks = "semantic" or "instances" into {folder_name}/{FILE_NAME}'
    if kind == "instances":
        return Description(folder_name, "instances"), [f"{found}object ids (instances){overrule}"]
    if is_foreground(facts):
        # Beside a foreground of 1, 255 means not annotated.
        ignore = IGNORE if {1, IGNORE} <= set(seen) else None
        ignored = f", {IGNORE} for not annotated" if ignore is not None else ""
        description = Description(folder_name, "semantic", ("background", "foreground"), ignore=ignore)
        return description, [f"{found}background and foreground (semantic){ignored}{overrule}"]
    names = [value for value in seen if value != IGNORE]
    if max(names) >= MOST_CLASSES:
        raise InputError(
            f"{folder_name}: the masks hold {listed}, which look like classes; number them from 0 without gaps"
        )
    classes = tuple("background" if value == 0 else f"class {value}" for value in range(max(names) + 1))
    ignore = IGNORE if IGNORE in seen else None
    ignored = f", {IGNORE} for not annotated" if ignore is not None else ""
    description = Description(folder_name, "semantic", classes, ignore=ignore)
    return description, [f"{found}{len(classes)} classes (semantic){ignored}{overrule}"]


def as_described(values: np.ndarray, description: Description, *, color: bool) -> np.ndarray:
    """A mask with the values that the description speaks of, colors turned into ids.

    Args:
        values: Whole numbers, any shape.
        description: Of the data set.
        color: Whether they are colors, 0xRRGGBB.

    Raises:
        InputError: A color is none of the classes'.
    """
    # A mask of RGB that happens to hold gray alone, as one without objects, is read as gray.
    gray = not color and _are_gray_colors(values, description)
    if not color and not gray:
        return values
    return color_classes(values.astype(np.int32) * (0x010101 if gray else 1), description)


def _are_gray_colors(values: np.ndarray, description: Description) -> bool:
    """Whether values that are no class ids are gray levels among the classes' colors."""
    found = np.unique(values).tolist()
    if description.masks == "instances" or max(found) < len(description.classes) or description.ignore in found:
        return False
    known = {int(color[1:], 16) for color in description.colors}
    return all(value < 256 and value * 0x010101 in known for value in found)


def color_classes(values: np.ndarray, description: Description) -> np.ndarray:
    """Class ids, or object ids from 1, of a color-coded mask.

    Args:
        values: (H, W) colors, 0xRRGGBB.
        description: Of the data set; its colors are those of the classes, in their order.

    Raises:
        InputError: A color is none of them, or classes have no colors.
    """
    if description.masks == "instances":
        ids: np.ndarray = np.unique(np.append(0, values), return_inverse=True)[1][1:]
        return ids.reshape(values.shape).astype(np.int32)
    known = [int(color[1:], 16) for color in description.colors]
    found = np.unique(values)
    wrong = [color_name(int(value)) for value in found if value not in known]
    if wrong:
        raise InputError(
            f"the mask is color-coded and holds {', '.join(wrong[:4])}; the colors of the classes are "
            f"{', '.join(description.colors) or 'not given'}: list the color of every class, in their order, as "
            f"colors in {FILE_NAME}"
        )
    table = np.array([known.index(int(value)) for value in found], np.uint8)
    return table[np.searchsorted(found, values)]


def _describe_colors(folder_name: str, facts: Sequence[MaskFacts], kind: Kind) -> tuple[Description, list[str]]:
    """The description of color-coded masks; where some are gray, as empty ones are, gray is a color too."""
    pixels: Counter[int] = Counter()
    for one in facts:
        pixels.update({value if one.color else value * 0x010101: count for value, count in one.pixels.items()})
    background = 0 if 0 in pixels else pixels.most_common(1)[0][0]
    if kind == "instances":
        if background:
            raise InputError(
                f"{folder_name}: the masks are color-coded, one color an object, and none holds black; make the "
                "background black"
            )
        note = f"{folder_name} has no {FILE_NAME}; its masks hold {len(pixels)} colors: taken for one color an object"
        return Description(folder_name, "instances"), [f"{note}, black for the background"]
    colors = tuple(color_name(value) for value in (background, *sorted(set(pixels) - {background})))
    classes = ("background", *(f"class {color}" for color in colors[1:]))
    listed = ", ".join(f"{place} {color}" for place, color in enumerate(colors))
    note = (
        f"{folder_name} has no {FILE_NAME}; its masks hold {len(colors)} colors: taken for classes, {listed} "
        "(background first, then by color); for other names or another order, list classes and colors in "
        f"{folder_name}/{FILE_NAME}"
    )
    return Description(folder_name, "semantic", classes, colors), [note]


def _contradiction(description: Description) -> str:
    """What is wrong with the values, or nothing."""
    count = len(description.classes)
    if description.masks == "semantic" and not 2 <= count < IGNORE:
        return f"semantic masks with {count} classes; name every pixel value, background too (2 to {IGNORE - 1})"
    if not 1 <= count < IGNORE:
        return f"classes has {count} names, wanted 1 to {IGNORE - 1}"
    if len(set(description.classes)) < count:
        return f"classes names one twice: {', '.join(description.classes)}"
    if description.colors and len(description.colors) != count:
        return f"{len(description.colors)} colors for {count} classes; give one for each class or none"
    for color in description.colors:
        if not re.fullmatch("#[0-9a-fA-F]{6}", color):
            return f"color {color!r} is not of the form #rrggbb"
    return _number_out_of_range(description)


def _number_out_of_range(description: Description) -> str:
    """What is wrong with ignore or pixel size, or nothing."""
    lowest = len(description.classes) if description.masks == "semantic" else 1
    if description.ignore is not None and not lowest <= description.ignore <= LARGEST_IGNORE:
        return (
            f"ignore is {description.ignore}, wanted {lowest} to {LARGEST_IGNORE}, a value that no class or object has"
        )
    if description.pixel_size_um is not None and not 0 < description.pixel_size_um < float("inf"):
        return f"pixel_size_um is {description.pixel_size_um}, wanted a positive number"
    return ""
