"""From the maps of a network to separate objects, by the method that the model names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..checks import InputError, check_finite, check_labels, check_ndim
from ..types import InstanceOptions
from . import load, load_all, needs
from .clean import clean_labels


def decode(probabilities: np.ndarray, fields: Mapping[str, np.ndarray], *, options: InstanceOptions) -> np.ndarray:
    """Separate the objects in a network's maps.

    Args:
        probabilities: (K, H, W) class probabilities; class 0 is background.
        fields: Other maps by name, each (channels, H, W): probability of an object's "boundary", Poisson height
            "distance" with 0 at the edge and 1 at the summit, "flows" (row, column) toward the summit.
        options: Method and thresholds.

    Returns:
        (H, W) int32 labels, 0 background, 1…n in raster order, each object one 4-connected piece.

    Raises:
        InputError: No such method, or a map that it needs is missing, has another shape or is not finite.
    """
    return next(decode_all(probabilities, fields, options=[options]))


def decode_all(
    probabilities: np.ndarray, fields: Mapping[str, np.ndarray], *, options: Sequence[InstanceOptions]
) -> Iterator[np.ndarray]:
    """What `decode` gives by each of several options, one label image after the other.

    Options of one method share what it can share, see `separate_all` of a method's file.

    Args:
        probabilities: See `decode`.
        fields: See `decode`.
        options: In their order.

    Raises:
        InputError: As `decode`.
    """
    for one in options:
        load(one.method)
        missing = [name for name in needs(one.method) if name not in fields]
        if missing:
            raise InputError(
                f"method {one.method!r} needs the map {missing[0]!r}, which this model does not give; "
                "choose another method in its instance options"
            )
    masks: dict[float, np.ndarray] = {}
    for threshold in (one.foreground_threshold for one in options):
        if threshold not in masks:
            masks[threshold] = foreground_mask(probabilities, threshold=threshold)
    separated: dict[int, np.ndarray] = {}
    for method in dict.fromkeys(one.method for one in options):
        chosen = [place for place, one in enumerate(options) if one.method == method]
        own = [options[place] for place in chosen]
        labels = load_all(method)(fields, [masks[one.foreground_threshold] for one in own], own)
        separated |= dict(zip(chosen, labels, strict=True))
    for place, one in enumerate(options):
        yield clean_labels(separated.pop(place), smallest_area_px=one.smallest_area_px, fill_holes=one.fill_holes)


def foreground_mask(probabilities: np.ndarray, *, threshold: float) -> np.ndarray:
    """Pixels that belong to objects: 1 - P(background) reaches the threshold.

    Args:
        probabilities: (K, H, W), K at least 2; class 0 is background.
        threshold: Smallest foreground probability.

    Returns:
        (H, W) bool.

    Raises:
        InputError: there are fewer than two classes or values are not finite.
    """
    check_ndim(3, probabilities=probabilities)
    if len(probabilities) < 2:
        raise InputError(f"probabilities has {len(probabilities)} class, expected background and at least one more")
    background = probabilities[0]
    check_finite(probabilities=background)
    foreground: np.ndarray = 1 - background >= threshold
    return foreground


def object_classes(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Class of each object: the one with the largest mean probability, never the background.

    Args:
        labels: (H, W) object ids, 0 background.
        probabilities: (K, H, W), K at least 2; class 0 is background.

    Returns:
        (n,) uint8 in 1…K-1, entry i for object i + 1, n the largest id; the lower class at a tie;
        0 for an id without pixels.

    Raises:
        InputError: shapes do not fit.
    """
    check_ndim(3, probabilities=probabilities)
    check_labels(labels=labels)
    if labels.shape != probabilities.shape[1:]:
        raise InputError(f"shapes differ: labels {labels.shape}, probabilities {probabilities.shape}")
    pixels = np.flatnonzero(labels)
    owner = labels.ravel()[pixels]
    area = np.bincount(owner, minlength=int(labels.max(initial=0)) + 1)[1:]
    if len(probabilities) == 2:
        return (area > 0).astype(np.uint8)
    weights = [np.bincount(owner, plane.ravel()[pixels], area.size + 1)[1:] for plane in probabilities[1:]]
    return np.where(area > 0, np.argmax(weights, axis=0) + 1, 0).astype(np.uint8)
