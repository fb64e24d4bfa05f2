"""How well outlines are met: Dice in a band around them, and distances between them, with pixels of any size.

An outline consists of elements, each between four neighboring pixels that are not all inside or all outside, with the
length that it has there: a side of a pixel, or half a diagonal. What is missing has no outline, and is infinitely far
from one that is there: an object that was not found counts with its whole outline as a miss, one that was made up too.

References:
    Nikolov et al. (2021). Clinically applicable segmentation of head and neck anatomy for radiotherapy: deep learning
    algorithm development and validation study. J Med Internet Res 23(7), e26151. doi:10.2196/26151 (surface Dice)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt, find_objects
from skimage.feature import canny

from ..checks import InputError, check_same_shape
from ._masks import check_masks
from .objects import Overlap, match

CANNY_BAND_PX = 7
"""Side of the square by which Canny edges are dilated."""

EDGE_SIGMA_PX = 0.5
"""The least smoothing with which a straight edge of a mask is one pixel wide, just inside of it; without, two."""

MATCH_IOU = 0.5
"""A reference object is found where a predicted one has at least this IoU with it."""

Spacing = tuple[float, float]
"""Height and width of a pixel."""


def canny_band(reference: np.ndarray, *, side_px: int = CANNY_BAND_PX) -> np.ndarray:
    """Pixels in a square around an edge that Canny's detector finds in a mask.

    Args:
        reference: (H, W) bool.
        side_px: Side of the square, at least 1.

    Returns:
        (H, W) bool; all False for a mask that is empty or full.

    References:
        Canny (1986). A computational approach to edge detection. IEEE TPAMI 8(6), 679-698.
        doi:10.1109/TPAMI.1986.4767851

    Example:
        >>> mask = np.zeros((20, 20), bool)
        >>> mask[5:15, 5:15] = True
        >>> band = canny_band(mask)
        >>> bool(band[5, 10]), bool(band[10, 10])
        (True, False)
    """
    check_masks(reference=reference)
    edges = canny(reference.astype(np.float32), sigma=EDGE_SIGMA_PX, low_threshold=0.1, high_threshold=0.2)
    band: np.ndarray = binary_dilation(edges, np.ones((side_px, side_px), bool))
    return band


def distance_band(reference: np.ndarray, *, distance: float, spacing: Spacing = (1.0, 1.0)) -> np.ndarray:
    """Pixels within a distance of a pixel of the other kind: objects' rim and what surrounds it.

    Args:
        reference: (H, W) bool.
        distance: In the unit of the spacing; between the centers of pixels, so 1 is one pixel on either side.
        spacing: Height and width of a pixel.

    Returns:
        (H, W) bool; all False for a mask that is empty or full.

    Example:
        >>> distance_band(np.array([[0, 0, 0, 1, 1, 1]]) > 0, distance=2).astype(int).tolist()
        [[0, 1, 1, 1, 1, 0]]
    """
    check_masks(reference=reference)
    _check_positive(distance=distance, spacing=min(spacing))
    if reference.all() or not reference.any():
        return np.zeros(reference.shape, bool)
    away = np.where(reference, distance_transform_edt(reference, spacing), distance_transform_edt(~reference, spacing))
    band: np.ndarray = away <= distance
    return band


@dataclass(frozen=True)
class Outlines:
    """Elements of two outlines, and how far each is from the other outline; in the unit of the spacing.

    Attributes:
        reference_distances: (n,) of elements of the reference to the nearest of the prediction; infinite without.
        reference_lengths: (n,) of these elements.
        prediction_distances: (m,) of elements of the prediction to the nearest of the reference.
        prediction_lengths: (m,) of these.
    """

    reference_distances: np.ndarray
    reference_lengths: np.ndarray
    prediction_distances: np.ndarray
    prediction_lengths: np.ndarray

    @property
    def length(self) -> float:
        """Of both outlines together."""
        return float(self.reference_lengths.sum() + self.prediction_lengths.sum())

    def length_within(self, tolerance: float) -> float:
        """Length of both outlines that lies at most ``tolerance`` from the other one."""
        return float(
            self.reference_lengths[self.reference_distances <= tolerance].sum()
            + self.prediction_lengths[self.prediction_distances <= tolerance].sum()
        )

    def surface_dice(self, tolerance: float) -> float:
        """Fraction of both outlines within the tolerance of the other one; NaN where there is none at all."""
        return self.length_within(tolerance) / self.length if self.length else math.nan

    def hausdorff(self, percent: float = 95.0) -> float:
        """The larger of both directions' distances that ``percent`` of the outline keep to.

        Infinite where one of the two outlines is missing, NaN without any.
        """
        ends = [
            _percentile(self.reference_distances, self.reference_lengths, percent),
            _percentile(self.prediction_distances, self.prediction_lengths, percent),
        ]
        return math.nan if all(map(math.isnan, ends)) else float(np.nanmax(ends))


def outlines(
    prediction: np.ndarray,
    reference: np.ndarray,
    *,
    spacing: Spacing = (1.0, 1.0),
    ignored: np.ndarray | None = None,
) -> Outlines:
    """Distances between the outlines of two masks.

    Args:
        prediction: (H, W) bool.
        reference: (H, W) bool.
        spacing: Height and width of a pixel.
        ignored: (H, W) bool, pixels without annotation: elements beside them are left out of both outlines.

    Raises:
        InputError: Masks that do not fit, or a spacing that is not positive.

    Example:
        >>> mask = np.zeros((12, 30), bool)
        >>> mask[2:10, 2:20] = True
        >>> shifted = np.roll(mask, 2, axis=1)
        >>> found = outlines(shifted, mask, spacing=(1.0, 0.5))
        >>> found.surface_dice(1.0), found.hausdorff()
        (1.0, 1.0)
    """
    check_masks(prediction=prediction, reference=reference, ignored=ignored)
    _check_positive(spacing=min(spacing))
    lengths = [_element_lengths(mask, spacing) for mask in (prediction, reference)]
    if ignored is not None:
        lengths = [np.where(_corners_of(ignored) > 0, 0, length) for length in lengths]
    of_prediction, of_reference = lengths
    return Outlines(
        _distances(of_reference, of_prediction, spacing),
        of_reference[of_reference > 0],
        _distances(of_prediction, of_reference, spacing),
        of_prediction[of_prediction > 0],
    )


def object_outlines(
    prediction: np.ndarray,
    reference: np.ndarray,
    overlap: Overlap,
    *,
    spacing: Spacing = (1.0, 1.0),
    ignored: np.ndarray | None = None,
) -> list[Outlines]:
    """Outlines of every reference object and its partner, and of predicted objects that have none.

    Args:
        prediction: (H, W) object ids, 0 background.
        reference: Likewise.
        overlap: Of the two, with the same ``ignored``; pairs are matched at `MATCH_IOU`.
        spacing: Height and width of a pixel.
        ignored: (H, W) bool, pixels without annotation.

    Returns:
        One for each reference object, in the order of ids: of one that was missed all elements are infinitely far
        from the prediction; then one for each predicted object without partner.

    Example:
        >>> from cellproof.metrics.objects import overlap
        >>> reference = np.array([[1, 1, 0, 2, 2, 0]])
        >>> prediction = np.array([[5, 5, 0, 0, 0, 0]])
        >>> found = object_outlines(prediction, reference, overlap(prediction, reference))
        >>> [one.hausdorff() for one in found]
        [0.0, inf]
    """
    check_same_shape(prediction=prediction, reference=reference)
    matching = match(overlap, MATCH_IOU)
    partner = dict(zip(matching.reference_ids.tolist(), matching.prediction_ids.tolist(), strict=True))
    made_up = np.setdiff1d(overlap.prediction_ids, matching.prediction_ids).tolist()
    pairs = [(partner.get(number), number) for number in overlap.reference_ids.tolist()]
    pairs += [(number, None) for number in made_up]
    boxes = [_boxes(labels) for labels in (prediction, reference)]
    found = []
    for ids in pairs:
        own = [boxes[side][number] for side, number in enumerate(ids) if number is not None]
        window = tuple(
            slice(max(0, min(box[axis].start for box in own) - 1), max(box[axis].stop for box in own) + 1)
            for axis in (0, 1)
        )
        masks = [
            np.zeros(labels[window].shape, bool) if number is None else labels[window] == number
            for number, labels in zip(ids, (prediction, reference), strict=True)
        ]
        found.append(outlines(*masks, spacing=spacing, ignored=None if ignored is None else ignored[window]))
    return found


def _boxes(labels: np.ndarray) -> dict[int, tuple[slice, slice]]:
    """Bounding box of each object."""
    ids, numbers = np.unique(labels, return_inverse=True)
    boxes = find_objects(numbers.reshape(labels.shape) + 1)
    return {int(number): box for number, box in zip(ids, boxes, strict=True) if number}


def _corners_of(mask: np.ndarray) -> np.ndarray:
    """(H + 1, W + 1) number of True pixels among the four around each corner; beyond the image there are none."""
    padded = np.pad(mask, 1).astype(np.uint8)
    total: np.ndarray = padded[:-1, :-1] + padded[:-1, 1:] + padded[1:, :-1] + padded[1:, 1:]
    return total


def _element_lengths(mask: np.ndarray, spacing: Spacing) -> np.ndarray:
    """(H + 1, W + 1) length of the outline's element at each corner of pixels, 0 where there is none."""
    height, width = spacing
    half = math.hypot(height, width) / 2
    count, padded = _corners_of(mask), np.pad(mask, 1)
    level = padded[:-1, :-1] == padded[:-1, 1:]
    upright = padded[:-1, :-1] == padded[1:, :-1]
    # Of two pixels: both in a row, both in a column, or across, where two corners are cut off.
    of_two = np.where(level, width, np.where(upright, height, 2 * half))
    lengths: np.ndarray = np.select([count == 2, (count == 1) | (count == 3)], [of_two, half], 0.0)
    return lengths


def _distances(lengths: np.ndarray, other: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Distance of each element to the nearest of the other outline."""
    here = lengths > 0
    if not (other > 0).any():
        return np.full(np.count_nonzero(here), math.inf)
    distances: np.ndarray = distance_transform_edt(other == 0, spacing)[here]
    return distances


def _percentile(distances: np.ndarray, lengths: np.ndarray, percent: float) -> float:
    """The distance that so many percent of the length keep to; NaN without any."""
    if not distances.size:
        return math.nan
    order = np.argsort(distances, kind="stable")
    sums = np.cumsum(lengths[order])
    place = int(np.searchsorted(sums / sums[-1], percent / 100))
    return float(distances[order[min(place, distances.size - 1)]])


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise InputError(f"{name} is {value}, expected a number above 0")
