"""Topology of membranes: whether they run where they should, hang together, and enclose what they should.

Membranes are boolean masks, connected over 8 neighbors; the cells between them over 4. Pixels without annotation
are membrane in neither mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label

from ._masks import EIGHT, SMALLEST_CELL_PX, annotated, check_masks, skeleton, without_small


def cells(mask: np.ndarray, *, smallest_px: int = SMALLEST_CELL_PX, ignored: np.ndarray | None = None) -> np.ndarray:
    """The regions that membranes separate, as a label image.

    Args:
        mask: (H, W) boolean, True on membrane.
        smallest_px: Smaller regions become 0, like membrane.
        ignored: Boolean mask of pixels without annotation; they become 0 and separate like membrane.

    Returns:
        (H, W) int32, 0 on membrane, 1…n the regions, those cut by the image's edge among them. All 0 where all is
        membrane; one region where none is.

    Raises:
        InputError: For different shapes, or a mask that is not boolean.

    Example:
        >>> mask = np.zeros((11, 11), bool)
        >>> mask[2:9, 2:9] = True
        >>> mask[4:7, 4:7] = False
        >>> np.bincount(cells(mask, smallest_px=5).ravel())[1:].tolist()  # the hole, and what is outside
        [72, 9]
    """
    check_masks(mask=mask, ignored=ignored)
    inside = annotated(~mask, ignored)
    labels, _ = label(without_small(inside, smallest_px))
    return np.asarray(labels, dtype=np.int32)


@dataclass(frozen=True)
class Betti:
    """Betti numbers of a mask, or absolute errors of them; ``a + b`` pools the errors of two images.

    Attributes:
        components: b0, pieces that hang together over 8 neighbors.
        holes: b1, pieces of background that hang together over 4 neighbors and do not touch the image's edge.
    """

    components: int
    holes: int

    def __add__(self, other: Betti) -> Betti:
        return Betti(self.components + other.components, self.holes + other.holes)


def betti_numbers(mask: np.ndarray) -> Betti:
    """Count the pieces of a (H, W) boolean mask and their holes; their difference is its Euler number.

    No membrane has (0, 0), and an image that is all membrane (1, 0).

    Raises:
        InputError: For a mask that is not boolean.

    Example:
        >>> mask = np.zeros((11, 11), bool)
        >>> mask[2:9, 2:9] = True
        >>> mask[4:7, 4:7] = False
        >>> betti_numbers(mask)
        Betti(components=1, holes=1)
    """
    check_masks(mask=mask)
    # A frame joins all background at the edge into one piece, which is no hole.
    outside_and_holes = label(~np.pad(mask, 1))[1]
    return Betti(components=label(mask, EIGHT)[1], holes=outside_and_holes - 1)


def betti_errors(prediction: np.ndarray, reference: np.ndarray, *, ignored: np.ndarray | None = None) -> Betti:
    """Absolute differences of the Betti numbers of two membrane masks; 0 and 0 for equal masks.

    They compare numbers and not places: a lost hole and a false one elsewhere cancel.

    Args:
        prediction: (H, W) boolean.
        reference: Boolean mask of the same shape.
        ignored: Boolean mask of pixels without annotation.

    Raises:
        InputError: For different shapes, or a mask that is not boolean.

    Example:
        >>> mask = np.zeros((11, 11), bool)
        >>> mask[2:9, 2:9] = True
        >>> mask[4:7, 4:7] = False
        >>> betti_errors(np.zeros_like(mask), mask)
        Betti(components=1, holes=1)
    """
    check_masks(prediction=prediction, reference=reference, ignored=ignored)
    found, wanted = (betti_numbers(annotated(mask, ignored)) for mask in (prediction, reference))
    return Betti(abs(found.components - wanted.components), abs(found.holes - wanted.holes))


@dataclass(frozen=True)
class Centerlines:
    """How much of each mask's skeleton lies in the other mask; ``a + b`` pools two images.

    Attributes:
        prediction_px: Pixels of the prediction's skeleton.
        prediction_in_reference_px: Those of them on reference membrane.
        reference_px: Pixels of the reference's skeleton.
        reference_in_prediction_px: Those of them on predicted membrane.
    """

    prediction_px: int
    prediction_in_reference_px: int
    reference_px: int
    reference_in_prediction_px: int

    def __add__(self, other: Centerlines) -> Centerlines:
        return Centerlines(
            self.prediction_px + other.prediction_px,
            self.prediction_in_reference_px + other.prediction_in_reference_px,
            self.reference_px + other.reference_px,
            self.reference_in_prediction_px + other.reference_in_prediction_px,
        )


def count_centerlines(
    prediction: np.ndarray, reference: np.ndarray, *, ignored: np.ndarray | None = None
) -> Centerlines:
    """Count the pixels of both skeletons, and those that lie in the other mask.

    Args:
        prediction: (H, W) boolean.
        reference: Boolean mask of the same shape.
        ignored: Boolean mask of pixels without annotation.

    Raises:
        InputError: For different shapes, or a mask that is not boolean.

    Example:
        >>> mask = np.zeros((11, 11), bool)
        >>> mask[2:9, 2:9] = True
        >>> mask[4:7, 4:7] = False
        >>> lines = count_centerlines(mask, mask)
        >>> lines.prediction_px == lines.prediction_in_reference_px
        True
    """
    check_masks(prediction=prediction, reference=reference, ignored=ignored)
    prediction, reference = annotated(prediction, ignored), annotated(reference, ignored)
    of_prediction, of_reference = skeleton(prediction), skeleton(reference)
    return Centerlines(
        prediction_px=int(of_prediction.sum()),
        prediction_in_reference_px=int((of_prediction & reference).sum()),
        reference_px=int(of_reference.sum()),
        reference_in_prediction_px=int((of_reference & prediction).sum()),
    )


def topology_precision(counts: Centerlines) -> float:
    """Share of the prediction's skeleton on reference membrane, in [0, 1]; NaN when no membrane was predicted.

    Example:
        >>> round(topology_precision(Centerlines(10, 8, 20, 10)), 3)
        0.8
    """
    return counts.prediction_in_reference_px / counts.prediction_px if counts.prediction_px else math.nan


def topology_sensitivity(counts: Centerlines) -> float:
    """Share of the reference's skeleton on predicted membrane, in [0, 1]; NaN when the reference has no membrane.

    Example:
        >>> round(topology_sensitivity(Centerlines(10, 8, 20, 10)), 3)
        0.5
    """
    return counts.reference_in_prediction_px / counts.reference_px if counts.reference_px else math.nan


def cl_dice(counts: Centerlines) -> float:
    """Centerline Dice, the harmonic mean of topology precision and sensitivity, in [0, 1].

    It is 0 when only one of the masks has membrane, and NaN when neither has.

    References:
        Shit et al. (2021). clDice - a novel topology-preserving loss function for tubular structure segmentation.
        CVPR. doi:10.1109/CVPR46437.2021.01629

    Example:
        >>> round(cl_dice(Centerlines(10, 8, 20, 10)), 3)
        0.615
    """
    if not counts.prediction_px and not counts.reference_px:
        return math.nan
    if not counts.prediction_in_reference_px or not counts.reference_in_prediction_px:
        return 0.0
    precision, sensitivity = topology_precision(counts), topology_sensitivity(counts)
    return 2 * precision * sensitivity / (precision + sensitivity)
