"""Partition metrics: whether two pixels that belong together in one label image do so in the other.

Everything is counted over the pixels of reference cells; membrane of the reference (label 0) is left out. Inside those
cells, each pixel that the prediction gives to no cell is a segment of its own, as in the SNEMI3D challenge.
(scikit-image with ``ignore_labels=(0,)`` takes them all for one segment instead, which joins the rims of all
cells: there, membranes one pixel off can look worse than lost ones. Where no such pixel exists the two agree.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .objects import Overlap


@dataclass(frozen=True)
class Partition:
    """Pairs of pixels, and bits, that two partitions have or lack in common; ``a + b`` pools two images.

    Attributes:
        pixels: Pixels in reference cells.
        pairs_in_both: Pairs of distinct pixels that lie together in both partitions.
        pairs_in_prediction: Pairs together in a predicted segment.
        pairs_in_reference: Pairs together in a reference cell.
        split_bits: Sum over pixels of what their predicted segment still tells once their reference cell is known.
        merge_bits: The same with the two exchanged.
    """

    pixels: int
    pairs_in_both: int
    pairs_in_prediction: int
    pairs_in_reference: int
    split_bits: float
    merge_bits: float

    def __add__(self, other: Partition) -> Partition:
        return Partition(
            self.pixels + other.pixels,
            self.pairs_in_both + other.pairs_in_both,
            self.pairs_in_prediction + other.pairs_in_prediction,
            self.pairs_in_reference + other.pairs_in_reference,
            self.split_bits + other.split_bits,
            self.merge_bits + other.merge_bits,
        )


def count_partition(overlap: Overlap) -> Partition:
    """Count pairs and bits of two label images.

    Args:
        overlap: Of the two; all counts are 0 where the reference has no cell.

    Example:
        >>> from cellproof.metrics.objects import overlap
        >>> counts = count_partition(overlap(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 2, 2]])))
        >>> counts.pairs_in_prediction, counts.pairs_in_reference, counts.merge_bits
        (6, 2, 4.0)
    """
    rows, columns = overlap.pairs.T
    shared_px = overlap.shared_px
    reference_px = overlap.reference_areas_px
    prediction_px = _sums(shared_px, columns, len(overlap.prediction_ids))
    alone_px = reference_px - _sums(shared_px, rows, len(reference_px))
    return Partition(
        pixels=int(reference_px.sum()),
        pairs_in_both=_pairs(shared_px),
        pairs_in_prediction=_pairs(prediction_px),
        pairs_in_reference=_pairs(reference_px),
        split_bits=_bits(shared_px, reference_px[rows]) + float((alone_px * np.log2(reference_px)).sum()),
        merge_bits=_bits(shared_px, prediction_px[columns]),
    )


def rand_precision(counts: Partition) -> float:
    """Pairs together in both of those together in the prediction, in [0, 1]; low where cells were merged.

    NaN where the prediction has no pair. scikit-image returns this number as its recall, and recall as precision.

    Example:
        >>> from cellproof.metrics.objects import overlap
        >>> counts = count_partition(overlap(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 2, 2]])))
        >>> round(rand_precision(counts), 3)
        0.333
    """
    return counts.pairs_in_both / counts.pairs_in_prediction if counts.pairs_in_prediction else math.nan


def rand_recall(counts: Partition) -> float:
    """Pairs together in both of those together in the reference, in [0, 1]; low where cells were split.

    NaN where the reference has no pair.

    Example:
        >>> from cellproof.metrics.objects import overlap
        >>> counts = count_partition(overlap(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 2, 2]])))
        >>> round(rand_recall(counts), 3)
        1.0
    """
    return counts.pairs_in_both / counts.pairs_in_reference if counts.pairs_in_reference else math.nan


def adapted_rand_error(counts: Partition) -> float:
    """1 - the harmonic mean of Rand precision and recall, in [0, 1], 0 best; NaN where neither image has a pair.

    References:
        Arganda-Carreras et al. (2015). Crowdsourcing the creation of image segmentation algorithms for connectomics.
        Frontiers in Neuroanatomy 9, 142. doi:10.3389/fnana.2015.00142

    Example:
        >>> from cellproof.metrics.objects import overlap
        >>> counts = count_partition(overlap(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 2, 2]])))
        >>> round(adapted_rand_error(counts), 3)
        0.5
    """
    pairs = counts.pairs_in_prediction + counts.pairs_in_reference
    return 1 - 2 * counts.pairs_in_both / pairs if pairs else math.nan


def variation_split(counts: Partition) -> float:
    """Entropy of the predicted segment of a pixel whose reference cell is known, in bits, 0 best; NaN without pixels.

    The two variations add up to the variation of information.

    References:
        Meilă (2007). Comparing clusterings - an information based distance. Journal of Multivariate Analysis 98(5),
        873-895. doi:10.1016/j.jmva.2006.11.013

    Example:
        >>> from cellproof.metrics.objects import overlap
        >>> counts = count_partition(overlap(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 2, 2]])))
        >>> round(variation_split(counts), 3)
        0.0
    """
    return counts.split_bits / counts.pixels if counts.pixels else math.nan


def variation_merge(counts: Partition) -> float:
    """Entropy of the reference cell of a pixel whose predicted segment is known, in bits, 0 best; NaN without pixels.

    References:
        As of `variation_split`.

    Example:
        >>> from cellproof.metrics.objects import overlap
        >>> counts = count_partition(overlap(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 2, 2]])))
        >>> round(variation_merge(counts), 3)
        1.0
    """
    return counts.merge_bits / counts.pixels if counts.pixels else math.nan


def _sums(values: np.ndarray, places: np.ndarray, length: int) -> np.ndarray:
    sums = np.zeros(length, np.int64)
    np.add.at(sums, places, values)
    return sums


def _pairs(sizes_px: np.ndarray) -> int:
    sizes_px = sizes_px.astype(np.int64)
    return int((sizes_px * (sizes_px - 1) // 2).sum())


def _bits(shared_px: np.ndarray, whole_px: np.ndarray) -> float:
    return float((shared_px * np.log2(whole_px / shared_px)).sum())
