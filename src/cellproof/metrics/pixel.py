"""Pixel metrics: a confusion matrix counted once, and the formulas on it.

A ratio 0/0 is NaN: such a class says nothing about the method. Counts of several images add; formulas come last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..checks import InputError, check_labels, check_same_shape
from ..types import IGNORE


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often each class was taken for which; ``a + b`` pools two images.

    Attributes:
        counts: (K, K) int64, rows reference, columns prediction.
        unpredicted: (K,) int64, pixels of each reference class for which there is no prediction.
            They are missed by their class and false in none.
    """

    counts: np.ndarray
    unpredicted: np.ndarray

    def __add__(self, other: Confusion) -> Confusion:
        check_same_shape(left=self.counts, right=other.counts)
        return Confusion(self.counts + other.counts, self.unpredicted + other.unpredicted)

    @property
    def true_positives(self) -> np.ndarray:
        """(K,) pixels of the class that were predicted as such."""
        return np.diagonal(self.counts)

    @property
    def predicted(self) -> np.ndarray:
        """(K,) pixels predicted as the class."""
        return np.asarray(self.counts.sum(axis=0))

    @property
    def referenced(self) -> np.ndarray:
        """(K,) pixels that are the class."""
        return np.asarray(self.counts.sum(axis=1) + self.unpredicted)


def confusion(prediction: np.ndarray, reference: np.ndarray, *, classes: int, ignore: int | None = IGNORE) -> Confusion:
    """Count which class was taken for which.

    Args:
        prediction: Class ids 0…classes-1, any shape; `ignore` where there is no prediction.
        reference: Class ids of the same shape; pixels of value `ignore` are left out.
        classes: Number of classes K.
        ignore: Value of a pixel without annotation; None when every pixel has one.

    Returns:
        Counts that sum to the number of annotated pixels; all zero when none is annotated.

    Raises:
        InputError: For different shapes, fractions, or a value that is no class.

    Example:
        >>> confusion(np.array([[0, 1, 1, 1]]), np.array([[0, 0, 1, 1]]), classes=2).counts.tolist()
        [[1, 1], [0, 2]]
    """
    check_same_shape(prediction=prediction, reference=reference)
    check_labels(prediction=prediction, reference=reference)
    annotated = _annotated(reference, ignore)
    rows = reference[annotated].astype(np.int64)
    columns = prediction[annotated].astype(np.int64)
    unpredicted = np.zeros(columns.shape, bool) if ignore is None else columns == ignore
    _check_classes(rows, what="reference", classes=classes)
    _check_classes(columns[~unpredicted], what="prediction", classes=classes)
    columns[unpredicted] = classes
    table = np.bincount(rows * (classes + 1) + columns, minlength=classes * (classes + 1))
    table = table.reshape(classes, classes + 1).astype(np.int64)
    return Confusion(table[:, :classes], table[:, classes])


def missed(reference: np.ndarray, *, classes: int, ignore: int | None = IGNORE) -> Confusion:
    """Counts of an image that has no prediction: every annotated pixel is missed by its class.

    Args:
        reference: Class ids 0…classes-1, any shape; pixels of value `ignore` are left out.
        classes: Number of classes K.
        ignore: Value of a pixel without annotation; None when every pixel has one.

    Raises:
        InputError: For fractions, or a value that is no class.

    Example:
        >>> missed(np.array([[0, 0, 1, 1]]), classes=2).unpredicted.tolist()
        [2, 2]
    """
    check_labels(reference=reference)
    values = reference[_annotated(reference, ignore)].astype(np.int64)
    _check_classes(values, what="reference", classes=classes)
    return Confusion(np.zeros((classes, classes), np.int64), np.bincount(values, minlength=classes))


def iou(counts: Confusion) -> np.ndarray:
    """Intersection over union TP / (TP + FP + FN), (K,) in [0, 1]; NaN for a class absent from both.

    References:
        Jaccard (1912). The distribution of the flora in the alpine zone. New Phytologist 11(2), 37-50.
        doi:10.1111/j.1469-8137.1912.tb05611.x

    Example:
        >>> counts = confusion(np.array([[0, 1, 1, 1]]), np.array([[0, 0, 1, 1]]), classes=2)
        >>> iou(counts).round(3).tolist()
        [0.5, 0.667]
    """
    union = counts.predicted + counts.referenced - counts.true_positives
    return _ratio(counts.true_positives, union)


def dice(counts: Confusion) -> np.ndarray:
    """Dice coefficient 2 TP / (2 TP + FP + FN), (K,) in [0, 1]; NaN for a class absent from both.

    References:
        Dice (1945). Measures of the amount of ecologic association between species.
        Ecology 26(3), 297-302. doi:10.2307/1932409

    Example:
        >>> counts = confusion(np.array([[0, 1, 1, 1]]), np.array([[0, 0, 1, 1]]), classes=2)
        >>> dice(counts).round(3).tolist()
        [0.667, 0.8]
    """
    return _ratio(2 * counts.true_positives, counts.predicted + counts.referenced)


def precision(counts: Confusion) -> np.ndarray:
    """TP / (TP + FP), (K,) in [0, 1]; NaN for a class that was never predicted.

    Example:
        >>> counts = confusion(np.array([[0, 1, 1, 1]]), np.array([[0, 0, 1, 1]]), classes=2)
        >>> precision(counts).round(3).tolist()
        [1.0, 0.667]
    """
    return _ratio(counts.true_positives, counts.predicted)


def recall(counts: Confusion) -> np.ndarray:
    """TP / (TP + FN), (K,) in [0, 1]; NaN for a class that the reference never has.

    Example:
        >>> counts = confusion(np.array([[0, 1, 1, 1]]), np.array([[0, 0, 1, 1]]), classes=2)
        >>> recall(counts).round(3).tolist()
        [0.5, 1.0]
    """
    return _ratio(counts.true_positives, counts.referenced)


def f1(counts: Confusion) -> np.ndarray:
    """F1 of each class, (K,): on pixels the same number as `dice`, under the name that classification uses.

    Example:
        >>> counts = confusion(np.array([[0, 1, 1, 1]]), np.array([[0, 0, 1, 1]]), classes=2)
        >>> f1(counts).round(3).tolist()
        [0.667, 0.8]
    """
    return dice(counts)


def accuracy(counts: Confusion) -> float:
    """Share of annotated pixels whose class is right, in [0, 1]; NaN when none is annotated.

    Background pixels count like any other, so a small object class hardly moves it.

    Example:
        >>> counts = confusion(np.array([[0, 1, 1, 1]]), np.array([[0, 0, 1, 1]]), classes=2)
        >>> accuracy(counts)
        0.75
    """
    total = int(counts.referenced.sum())
    return int(counts.true_positives.sum()) / total if total else math.nan


def mean_over_classes(
    counts: Confusion, formula: Callable[[Confusion], np.ndarray], *, without_class: int | None = None
) -> float:
    """Unweighted mean of a formula over classes.

    A class absent from both prediction and reference is left out. A class that only one of them has stays in:
    where its ratio is 0/0 (precision of a class never predicted, recall of one that is only predicted) it enters
    as 0, the worst value, so that a missed class cannot raise a mean.

    Args:
        counts: Counts of all classes.
        formula: A per-class formula of this file.
        without_class: A class to leave out, e.g. the background.

    Returns:
        A value in [0, 1]; NaN when no class is left.

    Example:
        >>> counts = confusion(np.array([[0, 1, 1, 1]]), np.array([[0, 0, 1, 1]]), classes=2)
        >>> round(mean_over_classes(counts, iou), 3)
        0.583
    """
    present = counts.predicted + counts.referenced > 0
    if without_class is not None:
        present[without_class] = False
    if not present.any():
        return math.nan
    return float(np.nan_to_num(formula(counts)[present], nan=0.0).mean())


def _annotated(reference: np.ndarray, ignore: int | None) -> np.ndarray:
    return np.ones(reference.shape, bool) if ignore is None else np.asarray(reference != ignore)


def _check_classes(values: np.ndarray, *, what: str, classes: int) -> None:
    if values.size and values.max() >= classes:
        raise InputError(
            f"{what} contains class {values.max()}, expected 0…{classes - 1}; "
            "check the list of classes and the value of pixels without annotation"
        )


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    quotient = np.full(denominator.shape, math.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient
