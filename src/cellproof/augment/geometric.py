"""Crop, flip, turn, scale, shear and bend in one resampling of image and labels.

Composing everything into one set of places, read once, blurs the image once instead of at every step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import ndimage

from ..checks import InputError
from ..types import IGNORE, Sample
from ._resample import Window, bilinear, cut_filled, cut_mirrored, nearest
from ._smooth import FEWEST_POINTS, SPREAD_KEPT, spline_field

_QUARTERS = ((1, 0), (0, 1), (-1, 0), (0, -1))
_SHRINKING_THAT_ALIASES = 1 / 0.7
_PLACES_SEARCHED = 2**18


@dataclass(frozen=True, eq=False)
class GeometricParams:
    """One drawn transformation: patch place ``p`` shows image place ``center + matrix @ (p + bend(p))``.

    Attributes:
        center: Row and column in the image that the middle of the patch shows.
        matrix: 2 × 2, from offsets in the patch to offsets in the image, in px.
        bend_px: (2, R, C) control points of a spline of displacements in the patch; None for none.
    """

    center: tuple[float, float]
    matrix: tuple[tuple[float, float], tuple[float, float]]
    bend_px: np.ndarray | None = None


@dataclass(frozen=True)
class Geometric:
    """Draw a patch, turned and bent, from image and labels alike.

    Beyond the image's edges the image is mirrored and the class map is `IGNORE` (no object there): a mirrored
    object would touch its own original and teach an edge, or a merged object, that nobody annotated.
    Flips and quarter turns alone copy pixels and change no value.

    Attributes:
        patch_px: Rows and columns of the patch.
        flip: Mirror rows, and columns, each with probability 1/2.
        rotate: "none", by "quarter" turns, or by "any" angle.
        rotate_degrees: Largest angle either way where angles are "any".
        rotate_p: Probability of turning at all.
        scale: Smallest and largest magnification, drawn log-uniformly; 2 shows objects of twice the diameter.
        scale_p: Probability of magnifying at all: a patch at scale 1/0.75 is a crop to 75 % of one at scale 1.
        shear: Largest slope of sheared columns; drawn uniformly in ±shear.
        anisotropy: Largest stretch less 1 of one axis against the other, drawn log-uniformly in
            [1/(1+a), 1+a]; areas stay.
        elastic_px: Standard deviation of each component of the elastic displacement, about; 0 for none.
        elastic_least_px: Where below that, the standard deviation is drawn uniformly from here up to it.
        elastic_sigma_px: Distance of the displacement's control points.
        foreground_bias: Share of patches that are centerd near a pixel of a class other than 0, every such
            class of the image equally often.

    Raises:
        InputError: Options out of range, or an elastic deformation so strong that it would fold.

    References:
        Coarse random displacements: Ronneberger, Fischer, Brox (2015). U-Net. MICCAI, section 3.1.
        doi:10.1007/978-3-319-24574-4_28
    """

    patch_px: tuple[int, int] = (256, 256)
    flip: bool = True
    rotate: Literal["none", "quarter", "any"] = "quarter"
    rotate_degrees: float = 180.0
    rotate_p: float = 1.0
    scale: tuple[float, float] = (1.0, 1.0)
    scale_p: float = 1.0
    shear: float = 0.0
    anisotropy: float = 0.0
    elastic_px: float = 0.0
    elastic_least_px: float | None = None
    elastic_sigma_px: float = 64.0
    foreground_bias: float = 0.0

    def __post_init__(self) -> None:
        if min(self.patch_px) < 1:
            raise InputError(f"patch_px is {self.patch_px}, expected at least one row and one column")
        if self.rotate not in ("none", "quarter", "any"):
            raise InputError(f"rotate is {self.rotate!r}, expected 'none', 'quarter' or 'any'")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"scale is {self.scale}, expected 0 < smallest <= largest")
        if self.shear < 0 or self.anisotropy < 0:
            raise InputError(f"shear {self.shear} and anisotropy {self.anisotropy} must not be negative")
        if not 0 <= self.foreground_bias <= 1:
            raise InputError(f"foreground_bias is {self.foreground_bias}, expected a share in [0, 1]")
        if not 0 < self.rotate_degrees <= 180 or not (0 <= self.rotate_p <= 1 and 0 <= self.scale_p <= 1):
            raise InputError(
                f"rotate_degrees {self.rotate_degrees}, rotate_p {self.rotate_p}, scale_p {self.scale_p}: expected an "
                "angle up to 180 and probabilities in [0, 1]"
            )
        if self.elastic_least_px is not None and not 0 <= self.elastic_least_px <= self.elastic_px:
            raise InputError(f"elastic_least_px is {self.elastic_least_px}, expected 0 up to elastic_px")
        # The field's slope then has a standard deviation of 0.12; a fold is a slope of about -1, eight of them.
        if not 0 <= self.elastic_px <= self.elastic_sigma_px / 10 or self.elastic_sigma_px <= 0:
            raise InputError(
                f"elastic_px is {self.elastic_px} with elastic_sigma_px {self.elastic_sigma_px}: the image would "
                "fold; expected 0 <= elastic_px <= elastic_sigma_px / 10"
            )

    def draw(self, rng: np.random.Generator, sample: Sample) -> GeometricParams:
        """Draw a transformation and a place in the sample.

        The patch lies inside the image where the image is large enough (bending apart), else in its middle.
        """
        matrix = self._draw_matrix(rng)
        bend_px = self._draw_bend(rng) if self.elastic_px else None
        return GeometricParams(self._draw_center(rng, sample, matrix), _as_pairs(matrix), bend_px)

    def apply(self, sample: Sample, params: GeometricParams) -> Sample:
        """The patch: image by bilinear interpolation, labels by the nearest pixel, both of the same places."""
        window = self._exact_window(params)
        if window is not None:
            return self._copied(sample, params, window)
        return self._resampled(sample, params)

    def _draw_matrix(self, rng: np.random.Generator) -> np.ndarray:
        matrix = np.eye(2)
        low, high = self.scale
        if (low < high or low != 1) and _happens(rng, self.scale_p):
            matrix /= math.exp(rng.uniform(math.log(low), math.log(high)))
        if self.anisotropy:
            largest = math.log1p(self.anisotropy) / 2
            stretch = math.exp(rng.uniform(-largest, largest))
            matrix @= np.diag([1 / stretch, stretch])
        if self.shear:
            matrix @= np.array([[1, rng.uniform(-self.shear, self.shear)], [0, 1]])
        if self.rotate != "none" and _happens(rng, self.rotate_p):
            cos, sin = _turn(rng, self.rotate, self.rotate_degrees)
            matrix @= np.array([[cos, sin], [-sin, cos]])
        if self.flip:
            matrix @= np.diag(1.0 - 2.0 * rng.integers(0, 2, size=2))
        return matrix

    def _draw_bend(self, rng: np.random.Generator) -> np.ndarray:
        points = [math.ceil(length / self.elastic_sigma_px) + FEWEST_POINTS - 1 for length in self.patch_px]
        bend_px = rng.standard_normal((2, *points), dtype=np.float32)
        sd_px = self.elastic_px
        if self.elastic_least_px is not None:
            sd_px = rng.uniform(self.elastic_least_px, self.elastic_px)
        bend_px *= np.float32(sd_px / SPREAD_KEPT)
        return bend_px

    def _draw_center(self, rng: np.random.Generator, sample: Sample, matrix: np.ndarray) -> tuple[float, float]:
        half = np.abs(matrix) @ ((np.array(self.patch_px) - 1) / 2)
        # Whole steps from the image's corner keep flips and quarter turns on whole pixels.
        slack = np.floor(np.array(sample.class_map.shape) - (2 * half + 1) + 1e-9)
        start = np.floor(rng.random(2) * (slack + 1))
        if self.foreground_bias and rng.random() < self.foreground_bias:
            wanted = _draw_foreground(rng, sample.class_map)
            if wanted is not None:
                start = np.round(wanted + (rng.random(2) - 0.5) * half - half)
        start = np.where(slack >= 0, np.clip(start, 0, np.maximum(slack, 0)), np.floor(slack / 2))
        row, column = start + half
        return float(row), float(column)

    def _exact_window(self, params: GeometricParams) -> Window | None:
        """The pixels to copy where flips and quarter turns are all there is, else None."""
        matrix = np.array(params.matrix)
        if params.bend_px is not None or sorted(np.abs(matrix).ravel()) != [0, 0, 1, 1] or matrix[0] @ matrix[1]:
            return None
        rows, columns = np.abs(matrix).astype(int) @ self.patch_px
        row, column = params.center[0] - (rows - 1) / 2, params.center[1] - (columns - 1) / 2
        if not (row.is_integer() and column.is_integer()):
            return None
        return Window(int(row), int(column), int(rows), int(columns))

    def _copied(self, sample: Sample, params: GeometricParams, window: Window) -> Sample:
        (a, b), (c, d) = params.matrix

        def oriented(pixels: np.ndarray) -> np.ndarray:
            turned = pixels.swapaxes(-1, -2) if a == 0 else pixels
            rows_step = -1 if a + c < 0 else 1
            columns_step = -1 if b + d < 0 else 1
            return turned[..., ::rows_step, ::columns_step].copy()

        return _map(
            sample,
            image=oriented(cut_mirrored(sample.image, window)),
            labels=lambda labels, fill: oriented(cut_filled(labels, window, fill)),
        )

    def _resampled(self, sample: Sample, params: GeometricParams) -> Sample:
        blur_px = _blur_against_aliasing(params.matrix)
        margin = 1 + math.ceil(3 * blur_px)
        rows, columns = self._places(params)
        row, row_count = _span(rows, params.center[0], margin)
        column, column_count = _span(columns, params.center[1], margin)
        window = Window(row, column, row_count, column_count)
        # Places within the window are small numbers, exact enough in float32 for an image of any size.
        rows += np.float32(params.center[0] - row)
        columns += np.float32(params.center[1] - column)
        pixels = cut_mirrored(sample.image, window)
        if blur_px:
            pixels = ndimage.gaussian_filter(pixels, (0, blur_px, blur_px), truncate=3)
        return _map(
            sample,
            image=bilinear(pixels, rows, columns),
            labels=lambda labels, fill: nearest(cut_filled(labels, window, fill), rows, columns),
        )

    def _places(self, params: GeometricParams) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns that the patch shows, relative to its center, each of the patch's shape in float32."""
        height, width = self.patch_px
        down = (np.arange(height, dtype=np.float32) - np.float32((height - 1) / 2))[:, None]
        right = np.arange(width, dtype=np.float32) - np.float32((width - 1) / 2)
        if params.bend_px is not None:
            bend = spline_field(params.bend_px, self.patch_px)
            down, right = down + bend[0], right + bend[1]
        (a, b), (c, d) = np.array(params.matrix, np.float32)
        return a * down + b * right, c * down + d * right


def _happens(rng: np.random.Generator, p: float) -> bool:
    """Whether something of a probability happens; what is sure draws nothing."""
    return p >= 1 or bool(rng.random() < p)


def _turn(rng: np.random.Generator, kind: str, degrees: float) -> tuple[float, float]:
    """Cosine and sine of a drawn angle; whole numbers for quarter turns."""
    if kind == "quarter":
        return _QUARTERS[int(rng.integers(4))]
    angle = rng.uniform(0, 2 * math.pi) if degrees == 180 else math.radians(rng.uniform(-degrees, degrees))
    return math.cos(angle), math.sin(angle)


def _draw_foreground(rng: np.random.Generator, class_map: np.ndarray) -> np.ndarray | None:
    """Row and column of a pixel of a class other than 0, every class equally likely; None where there is none."""
    # A coarse grid with a drawn start keeps the search short in a whole slide.
    step = math.ceil(math.sqrt(class_map.size / _PLACES_SEARCHED))
    corner = rng.integers(0, np.minimum(step, class_map.shape))
    coarse = class_map[corner[0] :: step, corner[1] :: step]
    present = [value for value in np.flatnonzero(np.bincount(coarse.ravel(), minlength=1)) if value not in (0, IGNORE)]
    if not present:
        return None
    places = np.flatnonzero(coarse == present[int(rng.integers(len(present)))])
    place = divmod(int(places[int(rng.integers(places.size))]), coarse.shape[1])
    pixel: np.ndarray = corner + step * np.array(place)
    return pixel


def _blur_against_aliasing(matrix: tuple[tuple[float, float], tuple[float, float]]) -> float:
    """Standard deviation in image px that leaves a shrunk patch as sharp as an unshrunk one; 0 where none is needed."""
    (a, b), (c, d) = matrix
    shrinking = math.sqrt(abs(a * d - b * c))
    return 0.5 * math.sqrt(shrinking**2 - 1) if shrinking > _SHRINKING_THAT_ALIASES else 0.0


def _span(places: np.ndarray, center: float, margin: int) -> tuple[int, int]:
    """First whole pixel and number of pixels that hold all places and their neighbors."""
    first = math.floor(center + float(places.min())) - margin
    last = math.floor(center + float(places.max())) + 1 + margin
    return first, last - first + 1


def _as_pairs(matrix: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    (a, b), (c, d) = matrix.tolist()
    return (a, b), (c, d)


def _map(sample: Sample, *, image: np.ndarray, labels: Callable[[np.ndarray, int], np.ndarray]) -> Sample:
    """The sample with a new image and both label arrays sent through ``labels(array, fill outside)``."""
    instances = None if sample.instances is None else labels(sample.instances, 0)
    return replace(sample, image=image, class_map=labels(sample.class_map, IGNORE), instances=instances)
