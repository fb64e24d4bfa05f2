"""How likely each object is right: evidence that a network's maps already hold, and a small logistic model on it.

An object is right where its intersection over union with some reference object reaches 0.5. Pixel confidence
alone ranks objects well but says nothing of whether touching nuclei were parted rightly, so that the other
evidence is about objects: whether other thresholds and another decoder find the same one, how strong the boundary
toward its neighbors is, whether a boundary runs through it, and whether its shape and size are those of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..checks import InputError, check_labels, check_ndim, check_same_shape
from ..types import LogisticModel
from ._logistic import apply_logistic, fit_logistic, logit

RIM_PX = 2
"""Width of the rim outside an object, and of its edge that does not count as interior."""

RIGHT_IOU = 0.5
"""Overlap with a reference object from which on an object is right."""

MOST_PAIRS = 20_000_000
"""Of an object and one of a rival: up to so many are counted in a table, more are sorted."""

CLIPPED = 0.01
"""Pixels this close to an image's largest value, as a fraction of its range, count as having it."""

DOUBTFUL_P_RIGHT = 0.7
"""An object that is less probably right than this is doubtful, and is marked."""


def agreement(labels: np.ndarray, rival: np.ndarray) -> np.ndarray:
    """How well each object is found again in another label image of the same scene: the best IoU.

    Args:
        labels: (H, W) object ids 1…n, 0 background.
        rival: (H, W) object ids, as another threshold, decoder or view gives them.

    Returns:
        (n,) in [0, 1], entry i for object i + 1; 0 where nothing of the rival touches it.

    Raises:
        InputError: shapes differ or an array is no label image.

    Example:
        >>> agreement(np.array([[1, 1, 2, 2]]), np.array([[7, 7, 7, 0]]))
        array([0.66666667, 0.25      ])
    """
    check_same_shape(labels=labels, rival=rival)
    check_labels(labels=labels, rival=rival)
    count, others = int(labels.max(initial=0)), int(rival.max(initial=0))
    pixels = np.flatnonzero(labels)
    owner, found = labels.ravel()[pixels].astype(np.int64), rival.ravel()[pixels]
    areas = np.bincount(owner, minlength=count + 1)
    rival_areas = np.bincount(rival.ravel(), minlength=others + 1)
    code = owner * (others + 1) + found
    if (count + 1) * (others + 1) <= MOST_PAIRS:
        shared = np.bincount(code)
        code = np.flatnonzero(shared)
        shared = shared[code]
    else:
        code, shared = np.unique(code, return_counts=True)
    own, other = np.divmod(code, others + 1)
    own, other, shared = own[other > 0], other[other > 0], shared[other > 0]
    best = np.zeros(count + 1)
    np.maximum.at(best, own, shared / (areas[own] + rival_areas[other] - shared))
    return best[1:]


def object_features(
    labels: np.ndarray,
    foreground: np.ndarray,
    *,
    boundary: np.ndarray | None = None,
    height: np.ndarray | None = None,
    rivals: Mapping[str, np.ndarray] | None = None,
    solidity: np.ndarray | None = None,
    image: np.ndarray | None = None,
    scale: float = 1.0,
) -> dict[str, np.ndarray]:
    """Evidence for and against each object.

    Args:
        labels: (H, W) objects 1…n without gaps, 0 background.
        foreground: (H, W) foreground probability.
        boundary: (H, W) probability of an object's edge; None leaves its features out.
        height: (H, W) height, about 1 at an object's summit; None leaves its features out.
        rivals: Name → (H, W) label image of the same image by another threshold or decoder.
        solidity: (n,) area of each object over that of its convex hull; None leaves it out.
        image: (C, H, W); None leaves ``clipped`` out.
        scale: Pixels of the network's grid per pixel of the image; sizes are told on that grid.

    Returns:
        Name → (n,) finite float64: ``mean_probability`` and ``low_probability`` (lowest decile) as log odds;
        ``rim_probability``, the mean just outside; ``contact``, the fraction of the outline that touches other objects;
        ``solidity``; ``log_diameter``; ``larger`` and ``smaller`` than the image's median, as log ratios of areas;
        ``cut``, 1 where the image's edge cuts it; ``clipped``, the fraction of its pixels at the image's largest
        value; ``agrees_NAME`` for each rival; ``weak_contact``, the contact without a boundary; ``inner_boundary``,
        its highest decile well inside; ``summit``. Arrays of length 0 without objects.

    Raises:
        InputError: shapes differ or ``labels`` has gaps.
    """
    check_ndim(2, labels=labels)
    check_labels(labels=labels)
    check_same_shape(labels=labels, foreground=foreground)
    count = int(labels.max(initial=0))
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:].astype(np.float64)
    if (area == 0).any():
        raise InputError(f"labels has gaps: {int((area == 0).sum())} of {count} ids have no pixel; number them anew")
    pixels = np.flatnonzero(labels)
    owner = labels.ravel()[pixels] - 1
    inside = foreground.ravel()[pixels]
    features = {
        "mean_probability": logit(np.bincount(owner, inside, count) / area),
        "low_probability": logit(_quantile(owner, inside, area, 0.1)),
        "rim_probability": _rim_mean(labels, foreground, count),
        **_contacts(labels, boundary, count),
        **({} if solidity is None else {"solidity": solidity}),
        **_sizes(area, scale),
        "cut": _cut(labels, count),
    }
    if image is not None:
        features["clipped"] = np.bincount(owner, clipped(image).ravel()[pixels], count) / area
    if boundary is not None:
        features["inner_boundary"] = _inner(labels, boundary, count)
    if height is not None:
        features["summit"] = _highest(owner, height.ravel()[pixels], count)
    features |= {f"agrees_{name}": agreement(labels, rival) for name, rival in (rivals or {}).items()}
    return features


def clipped(image: np.ndarray) -> np.ndarray:
    """Where an image (C, H, W) has its largest value, in some channel to within `CLIPPED` of the range; (H, W) bool.

    An overexposed image has many such pixels, and touching objects that merge in them. A channel without contrast
    has none.

    Example:
        >>> clipped(np.array([[[0.0, 0.5, 1.0]]])).tolist()
        [[False, False, True]]
    """
    found = np.zeros(image.shape[1:], bool)
    for channel in image:
        low, high = channel.min(initial=np.inf), channel.max(initial=-np.inf)
        if high > low:
            found |= channel >= high - CLIPPED * (high - low)
    return found


def object_truth(labels: np.ndarray, reference: np.ndarray, *, ignored: np.ndarray | None = None) -> np.ndarray:
    """Whether each object is right; NaN for those mostly in pixels without annotation.

    Args:
        labels: (H, W) objects 1…n.
        reference: (H, W) object ids.
        ignored: (H, W) bool, pixels without annotation; None for none.

    Returns:
        (n,) of 0, 1 and NaN.

    Raises:
        InputError: shapes differ.
    """
    check_same_shape(labels=labels, reference=reference)
    if ignored is None:
        return (agreement(labels, reference) >= RIGHT_IOU).astype(np.float64)
    check_same_shape(labels=labels, ignored=ignored)
    count = int(labels.max(initial=0))
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    hidden = np.bincount(labels[ignored], minlength=count + 1)[1:]
    seen, there = np.where(ignored, 0, labels), np.where(ignored, 0, reference)
    best = np.zeros(count)
    found = agreement(seen, there)
    best[: found.size] = found
    return np.where(2 * hidden > area, np.nan, best >= RIGHT_IOU)


def cross_fit(
    features: Mapping[str, np.ndarray],
    truth: np.ndarray,
    groups: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    folds: int = 5,
    ridge: float = 1.0,
) -> np.ndarray:
    """Probabilities out of sample: each group's rows from a model that was fitted on other groups.

    Args:
        features: Name → (n,).
        truth: (n,) in [0, 1].
        groups: (n,) what must stay together, such as the image that objects are from.
        weights: (n,) of the rows; None for 1 each.
        folds: Number of models.
        ridge: See `fit_logistic`.

    Returns:
        (n,) in (0, 1).

    Raises:
        InputError: fewer groups than folds, or lengths differ.
    """
    expected = np.empty(truth.shape)
    weights = np.ones(truth.shape) if weights is None else weights
    for out in fold_masks(groups, folds):
        rest = {name: values[~out] for name, values in features.items()}
        model = fit_logistic(rest, truth[~out], ridge=ridge, weights=weights[~out])
        expected[out] = apply_logistic(model, {name: values[out] for name, values in features.items()})
    return expected


def fold_masks(groups: np.ndarray, folds: int) -> Sequence[np.ndarray]:
    """For each fold the rows that it leaves out; a group is in one fold only, in the order of their names.

    Raises:
        InputError: fewer groups than folds.
    """
    names, number = np.unique(groups, return_inverse=True)
    if len(names) < folds:
        raise InputError(f"{len(names)} groups for {folds} folds; give more images or fewer folds")
    return [number % folds == fold for fold in range(folds)]


def p_right(model: LogisticModel, features: Mapping[str, np.ndarray]) -> np.ndarray:
    """Probability that each object is right, (n,) in (0, 1); see `object_features` for the features.

    Raises:
        InputError: a feature of the model is missing.
    """
    return apply_logistic(model, features)


def _quantile(owner: np.ndarray, values: np.ndarray, area: np.ndarray, fraction: float) -> np.ndarray:
    """The value below which this fraction of each object's pixels lies; objects have at least one pixel."""
    start = np.cumsum(area) - area
    place = (start + np.floor(fraction * (area - 1))).astype(np.int64)
    if values.dtype != np.float32:
        return np.asarray(values[np.lexsort((values, owner))][place], np.float64)
    # Bits of floats are in the order of the floats once those of negative ones are turned over, so that object and
    # value make one whole number, and numbers are sorted many times faster than pairs.
    bits = (values + np.float32(0)).view(np.int32).astype(np.int64)
    ordered = np.where(bits < 0, ~bits - 2**31, bits) + 2**31
    key = np.sort(owner.astype(np.int64) * 2**32 + ordered)[place]
    found = key % 2**32 - 2**31
    bits = np.where(found < 0, ~(found + 2**31), found).astype(np.int32)
    return np.asarray(bits.view(np.float32), np.float64)


def _highest(owner: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Highest value of each object; minus infinity for one without values."""
    found = np.full(count, -np.inf)
    if owner.size:
        # Pixels of an object lie beside each other in stretches, whose highest values are few.
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        np.maximum.at(found, owner[starts], np.maximum.reduceat(values, starts))
    return found


def _rim_mean(labels: np.ndarray, foreground: np.ndarray, count: int) -> np.ndarray:
    """Mean foreground probability of the background within `RIM_PX` of each object; 0 where there is none."""
    highest = labels
    for axis in (0, 1):
        wide = highest.copy()
        for step in range(1, RIM_PX + 1):
            low, high = (np.s_[:-step], np.s_[step:]) if axis == 0 else (np.s_[:, :-step], np.s_[:, step:])
            np.maximum(wide[low], highest[high], out=wide[low])
            np.maximum(wide[high], highest[low], out=wide[high])
        highest = wide
    near = highest > 0
    near &= labels == 0
    pixels = np.flatnonzero(near)
    owner = highest.ravel()[pixels] - 1
    area = np.bincount(owner, minlength=count)
    total = np.bincount(owner, foreground.ravel()[pixels], count)
    mean: np.ndarray = total / np.maximum(area, 1)
    return mean


def _spread(mask: np.ndarray, before: int, after: int, *, axis: int) -> np.ndarray:
    """The mask with each of its pixels prolonged along an axis, so many to the side of lower and of higher numbers."""
    wide = mask.copy()
    for step in range(1, max(before, after) + 1):
        low, high = (np.s_[:-step], np.s_[step:]) if axis == 0 else (np.s_[:, :-step], np.s_[:, step:])
        if step <= before:
            wide[low] |= mask[high]
        if step <= after:
            wide[high] |= mask[low]
    return wide


def _contacts(labels: np.ndarray, boundary: np.ndarray | None, count: int) -> dict[str, np.ndarray]:
    """Fraction of each outline, in pixel edges, that touches other objects; and the part of it without boundary."""
    outline, contact, strong = (np.zeros(count + 1) for _ in range(3))
    for axis in (0, 1):
        one = labels[:-1] if axis == 0 else labels[:, :-1]
        other = labels[1:] if axis == 0 else labels[:, 1:]
        differ = one != other
        first, second = one[differ], other[differ]
        touching = (first > 0) & (second > 0)
        edge = np.zeros(first.shape)
        if boundary is not None:
            before, after = (boundary[:-1], boundary[1:]) if axis == 0 else (boundary[:, :-1], boundary[:, 1:])
            edge = np.maximum(before, after)[differ]
        for side in (first, second):
            outline += np.bincount(side, minlength=count + 1)
            contact += np.bincount(side, touching, count + 1)
            strong += np.bincount(side, touching * edge, count + 1)
    length = np.maximum(outline[1:], 1)
    found = {"contact": contact[1:] / length}
    return found if boundary is None else {**found, "weak_contact": (contact - strong)[1:] / length}


def _sizes(area: np.ndarray, scale: float) -> dict[str, np.ndarray]:
    ratio = np.log(area / np.median(area)) if area.size else area
    return {
        "log_diameter": np.log(np.maximum(scale, 1e-6) * np.sqrt(4 * area / np.pi)),
        "larger": np.maximum(ratio, 0),
        "smaller": np.maximum(-ratio, 0),
    }


def _cut(labels: np.ndarray, count: int) -> np.ndarray:
    edges = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]) if labels.size else labels.ravel()
    cut = np.zeros(count + 1)
    cut[edges] = 1
    return cut[1:]


def _inner(labels: np.ndarray, boundary: np.ndarray, count: int) -> np.ndarray:
    """Highest decile of the boundary probability at least `RIM_PX` inside each object; 0 for objects without inside."""
    deep = labels > 0
    for axis in (0, 1):
        differs = np.zeros(labels.shape, bool)
        one, other = (np.s_[:-1], np.s_[1:]) if axis == 0 else (np.s_[:, :-1], np.s_[:, 1:])
        np.not_equal(labels[one], labels[other], out=differs[one])
        # The square around a pixel has one value unless it holds both pixels of a pair of neighbors that differ.
        deep &= ~_spread(_spread(differs, RIM_PX - 1, RIM_PX, axis=axis), RIM_PX, RIM_PX, axis=1 - axis)
    owner = labels[deep] - 1
    area = np.bincount(owner, minlength=count).astype(np.float64)
    there = area > 0
    number = np.cumsum(there) - 1
    inner = np.zeros(count)
    inner[there] = _quantile(number[owner], boundary[deep], area[there], 0.9)
    return inner
