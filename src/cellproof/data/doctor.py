"""What looks wrong with an annotated image, as sentences for the person who can put it right."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import binary_erosion, find_objects
from scipy.ndimage import label as label_components

from ..checks import check_labels, check_ndim
from .description import Description

SPECK_AREA_PX = 4
"""Objects of at most this many pixels are hardly drawn on purpose."""

SATURATED_SHARE = 0.01
"""More pixels than this at the image's largest value, and that is the value's limit: overexposed."""

_MOST_THIN, _FEWEST_THIN = 0.3, 10
"""Masks with this fraction, and number, of ids without any square of 2 × 2 pixels were smoothed."""

_SMALLEST_SIDE_PX, _SMALLEST_SHIFT_PX = 32, 3
_LEAST_FIT, _CLEARLY = 0.3, 1.25
"""A shift is told where the correlation there is at least this, and so many times that without a shift."""

EIGHT_NEIGHBORS = np.ones((3, 3), bool)


ADVICE = {
    "unusable": "mend or remove the files",
    "shared": "remove it from one of the two, or scores on held-out images flatter",
    "duplicate": "drawn folds keep copies together; remove the others, for they count as often as they are there",
    "size": "give image and mask of the same pixels",
    "empty": "right where nothing is to be seen, else annotate it",
    "foreground": "give each object an id of its own if they are to be told apart",
    "exposure": "take the image with a shorter exposure, or leave it out",
    "interpolated": "save the mask scaled without interpolation (nearest neighbor)",
    "pieces": "give each piece an id of its own, or join them",
    "specks": "remove them, as they teach the network to see dirt",
    "holes": "fill them unless they are there in the specimen",
    "shifted": "align image and mask",
}
"""What to do about each kind of finding."""


def examine(image: np.ndarray, mask: np.ndarray, description: Description) -> list[tuple[str, str]]:
    """Findings about one image and its mask, as stored; an empty list where nothing looks wrong.

    Args:
        image: (C, H, W) in the file's dtype.
        mask: (H, W) whole numbers.
        description: Of the data set.

    Returns:
        Kind, a key of `ADVICE`, and a sentence of each.
    """
    check_ndim(3, image=image)
    check_ndim(2, mask=mask)
    check_labels(mask=mask)
    if image.shape[1:] != mask.shape:
        return [("size", f"the image has shape {image.shape[1:]}, its mask {mask.shape}")]
    labels = mask.astype(np.int32)
    if description.ignore is not None:
        labels[mask == description.ignore] = 0
    findings = _examine_values(labels, description) + _examine_exposure(image)
    if description.masks == "instances":
        findings += _examine_objects(labels)
    shift = find_shift(image, labels > 0)
    if shift is not None:
        rows, columns = shift
        findings.append(("shifted", f"the mask fits the image better when moved by {rows} rows and {columns} columns"))
    return findings


def find_shift(image: np.ndarray, foreground: np.ndarray) -> tuple[int, int] | None:
    """How far a mask lies beside what it marks.

    The correlation of mask and intensity over all shifts has its summit at none where they fit. One elsewhere counts
    when it is high, and clearly above that without a shift.

    Args:
        image: (C, H, W).
        foreground: (H, W) bool.

    Returns:
        Rows and columns to move the mask by, at most an eighth of the side; None where it fits or nothing can be told.

    Examples:
        >>> image = np.zeros((1, 64, 64)); image[0, 20:40, 20:40] = 1
        >>> find_shift(image, np.roll(image[0] > 0, (-6, 5), (0, 1)))
        (6, -5)
    """
    inside = foreground.mean()
    if not 0 < inside < 1 or min(foreground.shape) < _SMALLEST_SIDE_PX:
        return None
    intensity = image.astype(np.float64).mean(axis=0)
    spread = intensity.std() * foreground.std()
    if not spread:
        return None
    first = np.fft.rfft2(intensity - intensity.mean())
    second = np.fft.rfft2(foreground - inside)
    correlation = np.fft.irfft2(first * np.conj(second), s=foreground.shape) / (foreground.size * spread)
    reach = [length // 8 for length in foreground.shape]
    window = np.roll(correlation, reach, (0, 1))[: 2 * reach[0] + 1, : 2 * reach[1] + 1]
    # Objects may be darker than their ground.
    strength = np.abs(window)
    row, column = np.unravel_index(int(strength.argmax()), strength.shape)
    shift = int(row) - reach[0], int(column) - reach[1]
    at_rest = float(strength[reach[0], reach[1]])
    if max(map(abs, shift)) < _SMALLEST_SHIFT_PX or strength.max() < max(_LEAST_FIT, _CLEARLY * at_rest):
        return None
    return shift


def find_duplicates(hashes: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Names of images that are the same, to find those that leak from one split into another.

    Args:
        hashes: Name → hash of the image's content.

    Returns:
        One tuple of sorted names for each content that is there more than once.
    """
    names: dict[str, list[str]] = {}
    for name, content in hashes.items():
        names.setdefault(content, []).append(name)
    return sorted(tuple(sorted(same)) for same in names.values() if len(same) > 1)


def _examine_values(labels: np.ndarray, description: Description) -> list[tuple[str, str]]:
    values = np.unique(labels[labels > 0])
    if not values.size:
        return [("empty", "the mask is empty")]
    if values.tolist() == [255] and description.masks == "instances":
        return [("foreground", "the mask holds 0 and 255 only: foreground, without classes or object ids")]
    return []


def _examine_exposure(image: np.ndarray) -> list[tuple[str, str]]:
    if not np.issubdtype(image.dtype, np.integer):
        return []
    share = float((image == np.iinfo(image.dtype).max).all(axis=0).mean())
    return [("exposure", f"{share:.0%} of the pixels are saturated")] if share > SATURATED_SHARE else []


def _examine_objects(labels: np.ndarray) -> list[tuple[str, str]]:
    """Specks, holes, ids in several pieces and ids that are mixtures of others, counted over all objects."""
    specks, holed, broken, thin = [], [], [], []
    # Ids may be huge numbers; windows are found by their positions among the ids that occur.
    ids, positions = np.unique(np.append(labels, 0), return_inverse=True)
    windows = find_objects(positions[:-1].reshape(labels.shape))
    for number, window in zip(ids[1:].tolist(), windows, strict=True):
        own = labels[window] == number
        if not binary_erosion(own, structure=np.ones((2, 2), bool)).any():
            thin.append(number)
        if own.sum() <= SPECK_AREA_PX:
            specks.append(number)
        if label_components(own, structure=EIGHT_NEIGHBORS)[1] > 1:
            broken.append(number)
        if _has_hole(own):
            holed.append(number)
    if len(thin) > _MOST_THIN * len(ids[1:]) and len(thin) >= _FEWEST_THIN:
        # What looks like specks and pieces then are the edges of objects.
        return [("interpolated", f"{len(thin)} of {len(ids) - 1} ids are lines of single pixels, as after smoothing")]
    kinds = (
        ("specks", specks, f"specks of at most {SPECK_AREA_PX} pixels"),
        ("pieces", broken, "objects in several separate pieces"),
        ("holes", holed, "objects with holes"),
    )
    return [(kind, f"{len(ids)} {words} (ids {_first(ids)})") for kind, ids, words in kinds if ids]


def _has_hole(own: np.ndarray) -> bool:
    """Whether background is enclosed: it does not hang together with a frame around the object."""
    return bool(label_components(np.pad(~own, 1, constant_values=True))[1] > 1)


def _first(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:3])) + (", …" if len(ids) > 3 else "")
