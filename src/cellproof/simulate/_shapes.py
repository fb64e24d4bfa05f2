"""Outlines of cells and their arrangement on a plane without losing one pixel of truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from skimage.measure import label, regionprops

_TRIES = 40
_LARGEST_OVERLAP = 0.25
_SMALLEST_VISIBLE_PX = 12


@dataclass(frozen=True)
class Outline:
    """An ellipse whose radius is modulated by a short Fourier series.

    Attributes:
        row: Center.
        column: Center.
        radius_px: Geometric mean of the half-axes.
        elongation: Long axis over short axis, >= 1.
        angle: Direction of the long axis, radians from the row axis.
        amplitudes: Relative radial amplitude of harmonics 2, 3, …; their sum stays below 1.
        phases: Phase of each harmonic, radians.
    """

    row: float
    column: float
    radius_px: float
    elongation: float
    angle: float
    amplitudes: np.ndarray
    phases: np.ndarray


@dataclass(frozen=True)
class Patch:
    """An outline on the pixel grid.

    Attributes:
        window: Rows and columns of the image that it touches, clipped to the image.
        level: Relative distance from the center on that window: 0 there, 1 on the outline.
    """

    window: tuple[slice, slice]
    level: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """Boolean window, True inside the outline."""
        return self.level < 1


@dataclass(frozen=True)
class Arrangement:
    """Objects that found a place.

    Attributes:
        labels: (H, W) int32, 1…n; where two outlines overlap, a pixel belongs to the one in which it lies deeper.
        patches: The whole outline of object i + 1, the overlapped part included.
        order: For each object its index in the list that was asked for.
    """

    labels: np.ndarray
    patches: tuple[Patch, ...]
    order: np.ndarray


def draw_outline(
    rng: np.random.Generator, *, radius_px: float, elongation: float, roughness: float, harmonics: int = 5
) -> Outline:
    """Draw a shape around the origin.

    Args:
        rng: Source of chance.
        radius_px: Geometric mean of the half-axes.
        elongation: Long over short axis, >= 1.
        roughness: 0 a smooth ellipse; 0.1 a clearly lobed one.
        harmonics: Number of Fourier terms, from the second harmonic on.
    """
    falloff = 1.0 / np.arange(1, harmonics + 1) ** 1.5
    amplitudes = np.clip(rng.normal(size=harmonics), -2, 2) * roughness * falloff
    return Outline(
        row=0.0,
        column=0.0,
        radius_px=radius_px,
        elongation=elongation,
        angle=float(rng.uniform(0, math.pi)),
        amplitudes=amplitudes,
        phases=rng.uniform(0, 2 * math.pi, harmonics),
    )


def rasterize(outline: Outline, shape: tuple[int, int], *, margin: float = 1.3) -> Patch:
    """Put an outline on the pixel grid; the level is known up to ``margin`` times its radius.

    Returns:
        A patch whose window is empty where the outline lies outside the image.
    """
    swell = 1 + float(np.abs(outline.amplitudes).sum())
    reach = margin * swell * outline.radius_px * math.sqrt(outline.elongation)
    window = tuple(
        slice(min(max(0, math.floor(center - reach)), size), max(0, min(size, math.ceil(center + reach) + 1)))
        for center, size in zip((outline.row, outline.column), shape, strict=True)
    )
    rows = np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None] - outline.row
    columns = np.arange(window[1].start, window[1].stop, dtype=np.float32)[None, :] - outline.column
    stretch = math.sqrt(outline.elongation)
    cosine, sine = math.cos(outline.angle), math.sin(outline.angle)
    along = (cosine * rows + sine * columns) / (outline.radius_px * stretch)
    across = (cosine * columns - sine * rows) / (outline.radius_px / stretch)
    theta = np.arctan2(across, along)
    radius = np.ones_like(theta)
    terms = zip(outline.amplitudes, outline.phases, strict=True)
    for harmonic, (amplitude, phase) in enumerate(terms, start=2):
        radius += np.float32(amplitude) * np.cos(harmonic * theta + np.float32(phase))
    return Patch(window=(window[0], window[1]), level=np.hypot(along, across) / radius)


def arrange(
    rng: np.random.Generator,
    outlines: Sequence[Outline],
    *,
    shape: tuple[int, int],
    clumping: float,
    allowed: np.ndarray | None = None,
    directions: np.ndarray | None = None,
) -> Arrangement:
    """Give each outline a place: alone, or against one that already lies there.

    Args:
        rng: Source of chance.
        outlines: Shapes around the origin.
        shape: Image (H, W).
        clumping: Share of outlines, in [0, 1], that touch or slightly overlap an earlier one; the rest keep a gap.
        allowed: (H, W) boolean; where False no center may lie. None allows the whole image.
        directions: (H, W) radians; an outline's own angle is counted from the direction at its center. None is 0.

    Returns:
        The outlines that found a place within a fixed number of tries: a crowded plane holds fewer than asked.
    """
    labels = np.zeros(shape, np.int32)
    depth = np.full(shape, np.inf, np.float32)
    placed: list[Outline] = []
    patches: list[Patch] = []
    order: list[int] = []
    for index, outline in enumerate(outlines):
        clumped = bool(placed) and rng.random() < clumping
        for _ in range(_TRIES):
            candidate = _beside(rng, outline, placed) if clumped else _anywhere(rng, outline, shape)
            if not _is_allowed(candidate, shape, allowed):
                continue
            if directions is not None:
                candidate = replace(candidate, angle=outline.angle + float(directions[_pixel(candidate, shape)]))
            patch = rasterize(candidate, shape)
            if _fits(patch, labels[patch.window], alone=not clumped):
                placed.append(candidate)
                patches.append(patch)
                order.append(index)
                _stamp(patch, labels, depth, len(placed))
                break
    return _in_one_piece(labels, patches, order)


def _anywhere(rng: np.random.Generator, outline: Outline, shape: tuple[int, int]) -> Outline:
    edge = outline.radius_px / 2
    row, column = (rng.uniform(-edge, size + edge) for size in shape)
    return replace(outline, row=float(row), column=float(column))


def _beside(rng: np.random.Generator, outline: Outline, placed: Sequence[Outline]) -> Outline:
    neighbor = placed[int(rng.integers(len(placed)))]
    direction = rng.uniform(0, 2 * math.pi)
    reach = _reach(outline, direction) + _reach(neighbor, direction)
    distance = reach * rng.uniform(0.8, 1.0)
    row = neighbor.row + distance * math.cos(direction)
    column = neighbor.column + distance * math.sin(direction)
    return replace(outline, row=row, column=column)


def _reach(outline: Outline, direction: float) -> float:
    """Radius of the undeformed ellipse in a direction of the image."""
    turn = direction - outline.angle
    stretch = math.sqrt(outline.elongation)
    return outline.radius_px / math.hypot(math.cos(turn) / stretch, math.sin(turn) * stretch)


def _is_allowed(outline: Outline, shape: tuple[int, int], allowed: np.ndarray | None) -> bool:
    edge = outline.radius_px / 2
    inside = all(-edge <= x <= n + edge for x, n in zip((outline.row, outline.column), shape, strict=True))
    if allowed is None or not inside:
        return inside
    return bool(allowed[_pixel(outline, shape)])


def _pixel(outline: Outline, shape: tuple[int, int]) -> tuple[int, int]:
    """The image's pixel nearest to the center."""
    row = min(max(0, round(outline.row)), shape[0] - 1)
    return row, min(max(0, round(outline.column)), shape[1] - 1)


def _fits(patch: Patch, below: np.ndarray, *, alone: bool) -> bool:
    """Whether the patch shows enough of itself and hides little of the objects below."""
    area = int(patch.mask.sum())
    if area < _SMALLEST_VISIBLE_PX:
        return False
    if alone:
        return not below[patch.level < 1.2].any()
    return int((below[patch.mask] > 0).sum()) <= _LARGEST_OVERLAP * area


def _stamp(patch: Patch, labels: np.ndarray, depth: np.ndarray, label_id: int) -> None:
    """Write the object where it is deeper than what lies there; changes labels and depth."""
    deeper = patch.mask & (patch.level < depth[patch.window])
    labels[patch.window][deeper] = label_id
    depth[patch.window][deeper] = patch.level[deeper]


def _in_one_piece(labels: np.ndarray, patches: Sequence[Patch], order: Sequence[int]) -> Arrangement:
    """Objects of one piece, with the patches and places in the list of those that are left."""
    numbered, kept = keep_pieces(labels)
    return Arrangement(
        labels=numbered,
        patches=tuple(patches[owner - 1] for owner in kept),
        order=np.array([order[owner - 1] for owner in kept], np.intp),
    )


def keep_pieces(labels: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Keep the largest 4-connected piece of each object, drop what is left of hidden ones, number 1…n.

    Args:
        labels: (H, W) object ids, 0 background.

    Returns:
        (H, W) int32 labels, and the old id of each new one.

    Examples:
        >>> drawn = np.zeros((5, 9), int)
        >>> drawn[:, :3], drawn[:, 4:], drawn[0, 8] = 2, 5, 2
        >>> keep_pieces(drawn)[1]
        [2, 5]
    """
    largest: dict[int, tuple[float, int]] = {}
    pieces = label(labels, connectivity=1, background=0)
    for piece in regionprops(pieces):
        row, column = piece.coords[0]
        owner = int(labels[row, column])
        if piece.area >= _SMALLEST_VISIBLE_PX:
            largest[owner] = max(largest.get(owner, (0.0, 0)), (float(piece.area), int(piece.label)))
    kept = sorted(largest)
    number = np.zeros(int(pieces.max(initial=0)) + 1, np.int32)
    number[[largest[owner][1] for owner in kept]] = np.arange(1, len(kept) + 1)
    return number[pieces], kept
