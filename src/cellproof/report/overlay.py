"""Results drawn on the image they came from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from ..checks import check_labels, check_ndim, check_same_shape
from ..types import IGNORE
from ._display import displayed
from ._inferno import INFERNO
from ._outlines import color_numbers, outline_mask, touching_pairs
from ._png import png_bytes
from ._scale_bar import with_scale_bar
from .palette import LIGHT, STRONG, WARNING, class_table

_CLASS_SHARE = 0.35
_TINT_FROM, _TINT_SHARE = 0.5, 0.6
_BRIGHT_FROM = 128
_PICTURE_OF_WIDTH_1_PX = 350
_DIAMETER_OF_WIDTH_1_PX = 10
_HALO_FROM_PX = 10
_HALO = 0.4


def overlay(
    image: np.ndarray,
    labels: np.ndarray,
    *,
    doubtful: np.ndarray | None = None,
    difficulty: np.ndarray | None = None,
    max_px: int | None = None,
    pixel_size_um: float | None = None,
    shown: np.ndarray | None = None,
) -> np.ndarray:
    """Draw each object's outline on the image.

    Outlines run inside the objects, 1 px wide for every 350 px of the image's longer side, but never wider than a
    tenth of the median diameter; a dark halo sets them off from bright objects and grounds. Touching objects differ
    in color. Doubtful objects have a wider, orange-red outline, which is no other object's.

    Args:
        image: (C, H, W) as read, any dtype.
        labels: (H, W), 0 background, 1…n objects.
        doubtful: Labels of the objects to mark.
        difficulty: (H, W) in [0, 1]; places above 0.5 are tinted orange-red.
        max_px: Shrink image and labels to at most this height and width before drawing, so that outlines
            stay visible in a thumbnail.
        pixel_size_um: Draws a scale bar where given.
        shown: What `image_picture` gives for the same ``max_px``, where it is known already.

    Returns:
        (H, W, 3) uint8. Without objects, the image alone.

    Raises:
        InputError: When the shapes do not fit.
    """
    _check(image, labels=labels)
    if difficulty is not None:
        _check(image, difficulty=difficulty)
    step = block_step(labels, max_px)
    rgb = image_picture(image, max_px=max_px) if shown is None else shown.copy()
    labels = _centers(labels, step)
    if difficulty is not None:
        _tint(rgb, block_means(difficulty[None], step)[0])
    if labels.max(initial=0):
        _draw_outlines(rgb, labels, doubtful=doubtful)
    return with_scale_bar(rgb, None if pixel_size_um is None else pixel_size_um * step)


def class_overlay(
    image: np.ndarray,
    classes: np.ndarray,
    *,
    colors: Sequence[str] = (),
    difficulty: np.ndarray | None = None,
    max_px: int | None = None,
    pixel_size_um: float | None = None,
    shown: np.ndarray | None = None,
) -> np.ndarray:
    """Lay translucent class colors with solid edges on the image.

    Args:
        image: (C, H, W) as read, any dtype.
        classes: (H, W) class ids; class 0 is left clear, `IGNORE` is gray.
        colors: As in `class_colors`.
        difficulty: (H, W) in [0, 1]; places above 0.5 are tinted orange-red.
        max_px: As in `overlay`.
        pixel_size_um: As in `overlay`.
        shown: As in `overlay`.

    Returns:
        (H, W, 3) uint8.

    Raises:
        InputError: When the shapes do not fit, or a color is not ``#rrggbb``.
    """
    _check(image, classes=classes)
    if difficulty is not None:
        _check(image, difficulty=difficulty)
    step = block_step(classes, max_px)
    rgb = image_picture(image, max_px=max_px) if shown is None else shown.copy()
    classes = _centers(classes, step)
    table = class_table(colors)
    painted = np.flatnonzero(classes > 0)
    pixels = rgb.reshape(-1, 3)
    paint = table[classes.ravel()[painted]]
    pixels[painted] = (pixels[painted] * (1 - _CLASS_SHARE) + paint * _CLASS_SHARE).astype(np.uint8)
    annotated = np.where(classes == IGNORE, 0, classes)
    edge = np.flatnonzero(outline_mask(annotated, width_px=_picture_width_px(classes)))
    pixels[edge] = table[classes.ravel()[edge]]
    if difficulty is not None:
        _tint(rgb, block_means(difficulty[None], step)[0])
    return with_scale_bar(rgb, None if pixel_size_um is None else pixel_size_um * step)


def image_picture(image: np.ndarray, *, max_px: int | None = None) -> np.ndarray:
    """The image alone, its contrast stretched as in the overlays, (H, W, 3) uint8.

    Args:
        image: (C, H, W) as read, any dtype.
        max_px: As in `overlay`.
    """
    check_ndim(3, image=image)
    return displayed(block_means(image, block_step(image[0], max_px)))


def difficulty_picture(
    image: np.ndarray, difficulty: np.ndarray, *, max_px: int | None = None, shown: np.ndarray | None = None
) -> np.ndarray:
    """Heat map of the difficulty, black sure to pale yellow hardest, over a faint image, bright images inverted.

    Args:
        image: (C, H, W) as read, any dtype.
        difficulty: (H, W) in [0, 1].
        max_px: As in `overlay`.
        shown: As in `overlay`.

    Returns:
        (H, W, 3) uint8.

    Raises:
        InputError: When the shapes do not fit.
    """
    _check(image, difficulty=difficulty)
    if shown is None:
        shown = image_picture(image, max_px=max_px)
    difficulty = block_means(difficulty[None], block_step(difficulty, max_px))[0]
    steps = np.clip(np.nan_to_num(difficulty) * 255, 0, 255).astype(np.uint8)
    faint = np.maximum(np.maximum(shown[..., 0], shown[..., 1]), shown[..., 2]) // 4
    if faint.mean() > _BRIGHT_FROM // 4:
        faint = 255 // 4 - faint
    return look_up(_heat_over_gray(), faint.astype(np.int32) * len(INFERNO) + steps)


@cache
def _heat_over_gray() -> np.ndarray:
    """(64 · 256, 3) colors of each gray of a faint image under each step of the color map: the brighter of both."""
    grays = np.arange(256 // 4, dtype=np.uint8)[:, None, None]
    return np.maximum(INFERNO, grays).reshape(-1, 3)


def look_up(colors: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """(H, W, 3) colors of (H, W) rows of a table (N, 3) of uint8."""
    # Whole numbers of four bytes are looked up several times as fast as rows of three.
    wide = np.zeros((len(colors), 4), np.uint8)
    wide[:, :3] = colors
    found = wide.view(np.uint32).ravel()[numbers]
    return np.ascontiguousarray(found[..., None].view(np.uint8)[..., :3])


def thumbnail(rgb: np.ndarray, *, max_px: int) -> np.ndarray:
    """Shrink an image until neither side exceeds ``max_px``; a smaller one stays as it is."""
    if max(rgb.shape[:2]) <= max_px:
        return rgb
    small = Image.fromarray(rgb)
    small.thumbnail((max_px, max_px), Image.Resampling.BOX)
    return np.asarray(small)


def write_overlay(path: Path, rgb: np.ndarray) -> None:
    """Write (H, W, 3) uint8 as PNG to exactly this path, fast rather than small."""
    path.write_bytes(png_bytes(rgb))


def _check(image: np.ndarray, **maps: np.ndarray) -> None:
    check_ndim(3, image=image)
    check_ndim(2, **maps)
    check_same_shape(image=image[0], **maps)
    check_labels(**{name: array for name, array in maps.items() if name != "difficulty"})


def _picture_width_px(labels: np.ndarray) -> int:
    longer: int = max(labels.shape)
    return max(1, round(longer / _PICTURE_OF_WIDTH_1_PX))


def _draw_outlines(rgb: np.ndarray, labels: np.ndarray, *, doubtful: np.ndarray | None) -> None:
    """Halo, outlines and warnings; changes rgb."""
    areas = np.bincount(labels.ravel())[1:]
    diameter_px = math.sqrt(4 * float(np.median(areas[areas > 0])) / math.pi)
    width_px = max(1, min(_picture_width_px(labels), round(diameter_px / _DIAMETER_OF_WIDTH_1_PX)))
    outline = outline_mask(labels, width_px=width_px)
    pixels = rgb.reshape(-1, 3)
    palette = STRONG if pixels[:: max(1, len(pixels) // 4096)].mean() > _BRIGHT_FROM else LIGHT
    if diameter_px >= _HALO_FROM_PX:  # smaller objects would be all halo
        halo = np.flatnonzero(_widened(outline, by_px=(width_px + 1) // 2) & ~outline)
        pixels[halo] = (pixels[halo] * _HALO).astype(np.uint8)
    edge = np.flatnonzero(outline)
    colors = color_numbers(touching_pairs(labels), largest_label=len(areas))
    pixels[edge] = palette[colors[labels.ravel()[edge]]]
    if doubtful is not None and len(doubtful):
        _warn(rgb, labels, doubtful=doubtful, width_px=width_px + 1)


def _widened(mask: np.ndarray, *, by_px: int) -> np.ndarray:
    """The mask and every pixel at most so many steps to the side away from it."""
    wide = mask.copy()
    for _ in range(by_px):
        before = wide.copy()
        wide[1:] |= before[:-1]
        wide[:-1] |= before[1:]
        wide[:, 1:] |= before[:, :-1]
        wide[:, :-1] |= before[:, 1:]
    return wide


def block_step(labels: np.ndarray, max_px: int | None) -> int:
    """Edge of the blocks that become one pixel, for an image of at most ``max_px``; never beyond its short side."""
    return 1 if max_px is None else max(1, min(-(-max(labels.shape) // max_px), min(labels.shape)))


def block_means(image: np.ndarray, step: int) -> np.ndarray:
    """(C, H // step, W // step) means of square blocks, in the image's own dtype."""
    return image if step == 1 else np.asarray(block_sums(image, step) / np.float32(step**2), image.dtype)


def block_sums(image: np.ndarray, step: int) -> np.ndarray:
    """(C, H // step, W // step) sums of square blocks, float32.

    Example:
        >>> block_sums(np.ones((1, 4, 7), bool), 2).tolist()
        [[[4.0, 4.0, 4.0], [4.0, 4.0, 4.0]]]
    """
    rows, columns = (size // step * step for size in image.shape[1:])
    # Whole lines first, then columns: many times faster than a sum over the axes of blocks.
    lines = image[:, :rows:step, :columns].astype(np.float32)
    for offset in range(1, step):
        lines += image[:, offset:rows:step, :columns]
    sums = lines[:, :, ::step].copy()
    for offset in range(1, step):
        sums += lines[:, :, offset::step]
    return sums


def _centers(labels: np.ndarray, step: int) -> np.ndarray:
    """(H // step, W // step) middle pixels of the same blocks."""
    rows, columns = (size // step for size in labels.shape)
    return np.ascontiguousarray(labels[step // 2 :: step, step // 2 :: step][:rows, :columns])


def _tint(rgb: np.ndarray, difficulty: np.ndarray) -> None:
    """Blend the warning color into hard places; changes rgb."""
    hard = np.flatnonzero(difficulty > _TINT_FROM)
    share = (difficulty.ravel()[hard, None] - _TINT_FROM) / (1 - _TINT_FROM) * _TINT_SHARE
    pixels = rgb.reshape(-1, 3)
    pixels[hard] = (pixels[hard] * (1 - share) + WARNING * share).astype(np.uint8)


def _warn(rgb: np.ndarray, labels: np.ndarray, *, doubtful: np.ndarray, width_px: int) -> None:
    """Draw the wide outline of doubtful objects; changes rgb."""
    chosen = np.zeros(1 + max(int(labels.max()), int(np.max(doubtful))), bool)
    chosen[doubtful] = True
    kept = np.where(chosen[labels], labels, 0)
    rgb[outline_mask(kept, width_px=width_px)] = WARNING
