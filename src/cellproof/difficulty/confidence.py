"""Confidence and difficulty of every pixel, from class probabilities."""

from __future__ import annotations

import math

import numpy as np

from ..checks import InputError, check_ndim, check_same_shape

SUM_TOLERANCE = 1e-3
"""How far the sum over classes may be from 1; half-precision networks come within it."""


def confidence(probabilities: np.ndarray) -> np.ndarray:
    """Largest class probability of each pixel.

    Args:
        probabilities: (K, H, W), K at least 2, summing to 1 over classes.

    Returns:
        (H, W) in the input's dtype, in [1/K, 1].

    Raises:
        InputError: the values are no probabilities.
    """
    check_probabilities(probabilities)
    largest: np.ndarray = probabilities.max(axis=0)
    return largest


def confidence_in(probabilities: np.ndarray, class_map: np.ndarray) -> np.ndarray:
    """Probability of the class that each pixel was given, such as by a repair, which may give an unlikely one.

    Args:
        probabilities: (K, H, W), K at least 2, summing to 1 over classes.
        class_map: (H, W) whole numbers; pixels of K or more, which are of no class, have their largest probability.

    Returns:
        (H, W) in the input's dtype, in [0, 1]; that of `confidence` where a pixel has its likeliest class.

    Raises:
        InputError: the values are no probabilities, or shapes differ.

    Example:
        >>> confidence_in(np.array([[[0.9, 0.4]], [[0.1, 0.6]]]), np.array([[1, 1]]))
        array([[0.1, 0.6]])
    """
    found = confidence(probabilities)
    check_same_shape(confidence=found, class_map=class_map)
    for number, plane in enumerate(probabilities):
        np.copyto(found, plane, where=class_map == number)
    return found


def difficulty_from_confidence(confidence: np.ndarray, *, classes: int) -> np.ndarray:
    """Chance of error relative to a blind guess: (1 - confidence) / (1 - 1/K).

    This is the map that a segmentation writes. With calibrated probabilities 1 - confidence is the
    chance that the pixel's class is wrong, so values can be averaged and compared between images;
    entropy has no such reading.

    Args:
        confidence: Largest probabilities, or those of the classes that were given; any shape.
        classes: K, at least 2.

    Returns:
        Same shape and dtype, in [0, 1]: 0 for a sure pixel, 1 where all classes are as likely, or the class is less
        likely than that.

    Raises:
        InputError: ``classes`` is below 2.
    """
    if classes < 2:
        raise InputError(f"classes is {classes}, expected at least 2: a single class is never in doubt")
    difficulty = np.subtract(1, confidence)
    difficulty *= classes / (classes - 1)
    clipped: np.ndarray = np.clip(difficulty, 0, 1, out=difficulty)
    return clipped


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Shannon entropy of the class probabilities, divided by its largest value log K.

    Args:
        probabilities: (K, H, W), K at least 2, summing to 1 over classes.

    Returns:
        (H, W) in the input's dtype, in [0, 1]: 0 for a sure pixel, 1 where all classes are as likely.

    Raises:
        InputError: the values are no probabilities.
    """
    check_probabilities(probabilities)
    total = np.zeros(probabilities.shape[1:], probabilities.dtype)
    # p log p has the limit 0 at p = 0; a finite logarithm there gives just that.
    smallest = np.finfo(probabilities.dtype).tiny
    term = np.empty_like(total)
    for plane in probabilities:
        np.log(np.maximum(plane, smallest, out=term), out=term)
        term *= plane
        total -= term
    total /= math.log(len(probabilities))
    clipped: np.ndarray = np.clip(total, 0, 1, out=total)
    return clipped


def margin(probabilities: np.ndarray) -> np.ndarray:
    """One minus the lead of the likeliest class over the second.

    Args:
        probabilities: (K, H, W), K at least 2, summing to 1 over classes.

    Returns:
        (H, W) in the input's dtype, in [0, 1]: 0 for a sure pixel, 1 for a tie of the two likeliest.

    Raises:
        InputError: the values are no probabilities.
    """
    check_probabilities(probabilities)
    first = np.maximum(probabilities[0], probabilities[1])
    second = np.minimum(probabilities[0], probabilities[1])
    for plane in probabilities[2:]:
        np.maximum(second, np.minimum(first, plane), out=second)
        np.maximum(first, plane, out=first)
    second -= first
    second += 1
    clipped: np.ndarray = np.clip(second, 0, 1, out=second)
    return clipped


def mean_confidence(confidence: np.ndarray, *, within: np.ndarray | None = None) -> float:
    """α of the paper's eq. 1: the mean confidence of an image's pixels.

    Args:
        confidence: (H, W).
        within: (H, W) bool, the pixels that count; padded ones, or those without annotation, do not. None for all.

    Returns:
        A value between the smallest and the largest confidence; NaN where no pixel counts.

    Raises:
        InputError: shapes differ.

    References:
        Matsuzuki, Hotta (2020). VISIGRAPP, eq. 1. doi:10.5220/0009164203140318
    """
    if within is not None:
        check_same_shape(confidence=confidence, within=within)
        confidence = confidence[within.astype(bool, copy=False)]
    if confidence.size == 0:
        return math.nan
    # No mean exceeds the largest value, but its rounding may: equal pixels would all be difficult.
    return min(float(confidence.mean(dtype=np.float64)), float(confidence.max()))


def difficult_pixels(confidence: np.ndarray, *, within: np.ndarray | None = None) -> np.ndarray:
    """Pixels whose confidence lies below the image's mean confidence: f < α.

    An increasing line through the confidence changes nothing, so that 1 - difficulty serves as well.

    Args:
        confidence: (H, W).
        within: As in `mean_confidence`; pixels outside are never difficult.

    Returns:
        (H, W) bool; none where all pixels are equally sure.

    Raises:
        InputError: shapes differ.

    References:
        Matsuzuki, Hotta (2020). VISIGRAPP, eq. 1. doi:10.5220/0009164203140318
    """
    difficult: np.ndarray = confidence < mean_confidence(confidence, within=within)
    if within is not None:
        difficult &= within.astype(bool, copy=False)
    return difficult


def check_probabilities(probabilities: np.ndarray) -> None:
    """Refuse what is no map of class probabilities.

    Args:
        probabilities: To be (K, H, W) floats in [0, 1], K at least 2, summing to 1 over classes.

    Raises:
        InputError: fewer than two classes, whole numbers, negative values, NaN, or sums away from 1.
    """
    check_ndim(3, probabilities=probabilities)
    if len(probabilities) < 2 or not np.issubdtype(probabilities.dtype, np.floating):
        raise InputError(
            f"probabilities has shape {probabilities.shape} and dtype {probabilities.dtype}, "
            "expected floats of at least 2 classes, (K, H, W)"
        )
    if probabilities.size == 0:
        return
    total = probabilities.sum(axis=0)
    lowest, highest = float(total.min()), float(total.max())
    if not (lowest >= 1 - SUM_TOLERANCE and highest <= 1 + SUM_TOLERANCE):
        raise InputError(
            f"probabilities sum to {lowest:.4g}…{highest:.4g} over the {len(probabilities)} classes, expected 1 "
            "at every pixel; apply a softmax to logits first"
        )
    smallest = float(probabilities.min())
    if smallest < -SUM_TOLERANCE:
        raise InputError(f"probabilities contains {smallest:.4g}, expected values in [0, 1]; apply a softmax first")
