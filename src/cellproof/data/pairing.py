"""Which image, mask and prediction belong together, by the names that the field gives them.

One table of conventions for training, evaluation and import: what masks and images are called besides the name
that they share, and what folders of each are called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..checks import InputError

MASK_ENDINGS: tuple[str, ...] = (
    "_cp_masks",
    "_masks",
    "_mask",
    "_labels",
    "_label",
    "_seg",
    "_segmentation",
    "_gt",
    "_annotation",
    "_instances",
    "_classes",
    "_pred",
    "_prediction",
)
"""``x_masks.tif`` is a mask of ``x.tif``; Cellpose, StarDist, napari and challenges use these."""

IMAGE_ENDINGS = ("_img", "_image", "_raw", "_0000")
"""``x_img.tif`` is the image of ``x``; ``_0000`` is nnU-Net's first channel."""

RESULT_ENDINGS = ("_labels", "_classes", "_difficulty", "_overlay")
"""What `segment` writes beside each other for one image."""

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "imagesTr", "imagesTs")
MASK_FOLDERS: tuple[str, ...] = ("masks", "mask", "labels", "label", "gt", "ground_truth", "groundtruth", "annotations")
MASK_FOLDERS += ("labelsTr", "labelsTs")

SPLITS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "development"), "val"),
    **dict.fromkeys(("test", "testing", "tests", "holdout", "held_out"), "test"),
}
"""Names of folders, in lower case, and the split that they stand for."""

_MOST_NAMED = 3


@dataclass(frozen=True)
class Pairs:
    """What was joined.

    Attributes:
        pairs: Shared name → (first, second), by name.
        first_alone: Files of the first side without partner.
        second_alone: Files of the second side without partner.
    """

    pairs: Mapping[str, tuple[Path, Path]]
    first_alone: tuple[Path, ...]
    second_alone: tuple[Path, ...]


def stem(path: Path) -> str:
    """A file's name without its ending, ``.ome`` included.

    Examples:
        >>> stem(Path("a/x.1.ome.tif"))
        'x.1'
    """
    return path.name.removesuffix(path.suffix).removesuffix(".ome")


def without_mask_ending(name: str) -> str:
    """The name that a mask shares with its image, as far as its own ending goes.

    Examples:
        >>> without_mask_ending("x_img_cp_masks"), without_mask_ending("x")
        ('x_img', 'x')
    """
    return _without(name, MASK_ENDINGS)


def shared_name(name: str) -> str:
    """The name that an image, its mask and its prediction have in common.

    Examples:
        >>> [shared_name(name) for name in ("x_img", "x_masks", "x_img_cp_masks", "x_0000", "x")]
        ['x', 'x', 'x', 'x', 'x']
    """
    return _without(without_mask_ending(name), IMAGE_ENDINGS)


def is_mask_name(path: Path) -> bool:
    """Whether a file's name says that it is a mask."""
    name = stem(path)
    return without_mask_ending(name) != name


def pair(first: Iterable[Path], second: Iterable[Path]) -> Pairs:
    """Join files of two sides by their names: equal stems, then without a mask's ending, then without an image's.

    Args:
        first: Images, or references.
        second: Masks, or predictions.

    Raises:
        InputError: Two files of a side have one stem, or fit the same file of the other side; both are named.
    """
    left, right = _by_stem(first), _by_stem(second)
    found: dict[Path, Path] = {}
    for level in (str, without_mask_ending, shared_name):
        found |= _join([path for path in left.values() if path not in found], left, right, found, level)
    taken = {mask: image for image, mask in found.items()}
    left_alone = [path for path in left.values() if path not in found]
    right_alone = [path for path in right.values() if path not in taken]
    _refuse_rivals(left_alone, {path: path for path in found})
    _refuse_rivals(right_alone, {mask: mask for mask in taken})
    names = _names(found)
    return Pairs(
        {names[image]: (image, found[image]) for image in sorted(found)}, tuple(left_alone), tuple(right_alone)
    )


def pair_in_one_folder(files: Sequence[Path]) -> Pairs:
    """Join images and masks that lie in one folder: a mask is what is named so.

    Raises:
        InputError: As `pair`.
    """
    masks = [path for path in files if is_mask_name(path)]
    return pair([path for path in files if path not in masks], masks)


def list_names(paths: Iterable[Path]) -> str:
    """The first few names for a sentence."""
    names = sorted(path.name for path in paths)
    return ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")


def _without(name: str, endings: Sequence[str]) -> str:
    for ending in endings:
        for written in (ending, ending.replace("_", "-")):
            if name.casefold().endswith(written) and len(name) > len(written):
                return name[: -len(written)]
    return name


def _by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """Stem → file, refusing two files of one stem."""
    found: dict[str, Path] = {}
    for path in sorted(files):
        name = stem(path)
        if name in found:
            raise InputError(f"{path.parent}: {found[name].name} and {path.name} have the same stem; keep one of them")
        found[name] = path
    return found


def _join(
    open_first: Sequence[Path],
    left: Mapping[str, Path],
    right: Mapping[str, Path],
    found: Mapping[Path, Path],
    level: object,
) -> dict[Path, Path]:
    """Pairs of one way to read names, among files that have no partner yet."""
    assert callable(level)
    taken = set(found.values())
    open_left = {name: path for name, path in left.items() if path in set(open_first)}
    open_right = {name: path for name, path in right.items() if path not in taken}
    first, second = _grouped(open_left, level), _grouped(open_right, level)
    joined = {}
    for key in first.keys() & second.keys():
        for group, other in ((first[key], second[key]), (second[key], first[key])):
            if len(group) > 1:
                raise _ambiguous(group[:2], other[0])
        joined[first[key][0]] = second[key][0]
    return joined


def _grouped(files: Mapping[str, Path], level: object) -> dict[str, list[Path]]:
    assert callable(level)
    groups: dict[str, list[Path]] = {}
    for name, path in files.items():
        groups.setdefault(level(name), []).append(path)
    return groups


def _refuse_rivals(alone: Sequence[Path], taken: Mapping[Path, Path]) -> None:
    """Refuse a file that would fit where another was taken."""
    by_name = {shared_name(stem(path)): path for path in taken}
    for path in alone:
        rival = by_name.get(shared_name(stem(path)))
        # Frames x_0000, x_0001 … share a name only by the look of it.
        if rival is not None and without_mask_ending(stem(path)) == without_mask_ending(stem(rival)):
            raise _ambiguous([rival, path], None)


def _ambiguous(rivals: Sequence[Path], other: Path | None) -> InputError:
    first, second = rivals[0], rivals[1]
    fits = f"both fit {other.name}" if other is not None else "both fit one name"
    return InputError(
        f"{first.parent}: {first.name} and {second.name} {fits}; keep one of them, or move the other away"
    )


def _names(found: Mapping[Path, Path]) -> dict[Path, str]:
    """What each pair is called: the stem of the image; the shared name where that is plain and no other's."""
    stems = {image: stem(image) for image in found}
    shared = {image: shared_name(name) for image, name in stems.items()}
    times: dict[str, int] = {}
    for image, name in shared.items():
        times[name] = times.get(name, 0) + 1
        if stems[image] != name and name in stems.values():
            times[name] += 1
    equal = {
        image
        for image, mask in found.items()
        if stem(image) in (stem(mask), without_mask_ending(stem(mask))) and not is_mask_name(image)
    }
    return {image: stems[image] if image in equal or times[shared[image]] > 1 else shared[image] for image in found}
