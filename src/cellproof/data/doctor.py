"""What looks wrong with an annotated picture, as sentences for the person who can put it right."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import find_objects
from scipy.ndimage import label as label_components

from ..checks import check_labels, check_ndim
from .description import Description

SPECK_AREA_PX = 4
"""Objects of at most this many pixels are hardly drawn on purpose."""

SATURATED_SHARE = 0.01
"""More pixels than this at the picture's largest value, and that is the value's limit: overexposed."""

EIGHT_NEIGHBORS = np.ones((3, 3), bool)


def examine(name: str, image: np.ndarray, mask: np.ndarray, description: Description) -> list[str]:
    """Findings about one picture and its mask, as stored; an empty list where nothing looks wrong.

    Args:
        name: Begins every finding.
        image: (C, H, W) in the file's dtype.
        mask: (H, W) whole numbers.
        description: Of the data set.
    """
    check_ndim(3, image=image)
    check_ndim(2, mask=mask)
    check_labels(mask=mask)
    if image.shape[1:] != mask.shape:
        return [f"{name}: the image has shape {image.shape[1:]}, its mask {mask.shape}"]
    labels = mask.astype(np.int32)
    if description.ignore is not None:
        labels[mask == description.ignore] = 0
    findings = _examine_values(labels) + _examine_exposure(image)
    if description.masks == "instances":
        findings += _examine_objects(labels)
    return [f"{name}: {finding}" for finding in findings]


def find_duplicates(hashes: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Names of pictures that are the same, to find those that leak from one split into another.

    Args:
        hashes: Name → hash of the picture's content.

    Returns:
        One tuple of sorted names for each content that is there more than once.
    """
    names: dict[str, list[str]] = {}
    for name, content in hashes.items():
        names.setdefault(content, []).append(name)
    return sorted(tuple(sorted(same)) for same in names.values() if len(same) > 1)


def _examine_values(labels: np.ndarray) -> list[str]:
    values = np.unique(labels[labels > 0])
    if not values.size:
        return ["the mask is empty"]
    if values.tolist() == [255]:
        return ["the mask holds 0 and 255 only: foreground, without classes or object ids"]
    return []


def _examine_exposure(image: np.ndarray) -> list[str]:
    if not np.issubdtype(image.dtype, np.integer):
        return []
    share = float((image == np.iinfo(image.dtype).max).all(axis=0).mean())
    return [f"{share:.0%} of the pixels are saturated"] if share > SATURATED_SHARE else []


def _examine_objects(labels: np.ndarray) -> list[str]:
    """Specks, holes and ids in several pieces, counted over all objects."""
    specks, holed, broken = [], [], []
    # Ids may be huge numbers; windows are found by their positions among the ids that occur.
    ids, positions = np.unique(np.append(labels, 0), return_inverse=True)
    windows = find_objects(positions[:-1].reshape(labels.shape))
    for number, window in zip(ids[1:].tolist(), windows, strict=True):
        own = labels[window] == number
        if own.sum() <= SPECK_AREA_PX:
            specks.append(number)
        if label_components(own, structure=EIGHT_NEIGHBORS)[1] > 1:
            broken.append(number)
        if _has_hole(own):
            holed.append(number)
    kinds = (
        (specks, f"specks of at most {SPECK_AREA_PX} pixels"),
        (broken, "objects in several separate pieces"),
        (holed, "objects with holes"),
    )
    return [f"{len(ids)} {kind} (ids {_first(ids)})" for ids, kind in kinds if ids]


def _has_hole(own: np.ndarray) -> bool:
    """Whether background is enclosed: it does not hang together with a frame around the object."""
    return bool(label_components(np.pad(~own, 1, constant_values=True))[1] > 1)


def _first(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:3])) + (", …" if len(ids) > 3 else "")
