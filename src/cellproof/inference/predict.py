"""Image → maps: windows through engines, activated, averaged over networks and views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from ..checks import InputError, check_ndim
from ..types import Heads
from .activate import Maps, activate, split
from .blend import cores, fades
from .engine import Engine
from .tiles import Tile, plan_tiles, round_up
from .tta import ONE_VIEW, View

DEFAULT_MAX_PIXELS = 1_500_000
"""A 1388 × 1040 image stays whole, a 2048 × 2048 one becomes four windows; one of a U-Net takes 0.7 GB in bf16."""


def predict(
    engines: Sequence[Engine],
    image: np.ndarray,
    *,
    heads: Heads,
    stride_px: int,
    halo_px: int,
    temperature: float = 1.0,
    views: Sequence[View] = ONE_VIEW,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    blend: bool = False,
    progress: Callable[[int, int], None] | None = None,
    each: Callable[[int, Maps], None] | None = None,
) -> Maps:
    """Run a model over an image of any size.

    The image is mirrored at its lower and right edges to a multiple of the stride. With ``halo_px`` at
    least the networks' receptive field, the result does not depend on ``max_pixels``.

    Args:
        engines: One or more networks with the same heads; their activated maps are averaged.
        image: (C, H, W) float32, normalized.
        heads: Meaning of the networks' output channels.
        stride_px: Networks take multiples of this.
        halo_px: Radius of the networks' receptive field.
        temperature: Class logits are divided by this.
        views: Ways to lay the image, whose maps are averaged too, such as `tta.EIGHT_VIEWS` at eight times the cost.
        max_pixels: Largest window.
        blend: Whether overlapping windows fade into each other; for networks that see further than the halo.
        progress: Called with (runs done, runs in all) after each run of a network.
        each: Called with (number of the network, its maps of the whole image) for every view, brought back to where
            the image lay: all views of a network in succession, in their order. Their mean is what is
            returned, at every temperature, since logits are divided by it before each softmax. It costs the memory
            of one more set of maps.

    Returns:
        Maps of the image's height and width. Their deep features are those of the first network's first view, of its
        windows by their areas.

    Raises:
        InputError: For an image without three axes or without pixels, no engine, or heads that do not fit.
    """
    check_ndim(3, image=image)
    if image.size == 0 or not engines:
        raise InputError(
            f"got {len(engines)} engines and an image of shape {image.shape}; expected at least one of each"
        )
    plan = plan_tiles((image.shape[1], image.shape[2]), halo_px=halo_px, stride_px=stride_px, max_pixels=max_pixels)
    shares = list(fades(plan) if blend else cores(plan))
    runs = len(engines) * len(views)
    stack = np.zeros((heads.channels, *plan.shape), np.float32)
    deep: list[tuple[int, np.ndarray]] = []
    for run, (member, view) in enumerate(product(range(len(engines)), views)):
        own = np.zeros_like(stack) if each is not None else stack
        for done, share in enumerate(shares, start=1 + run * len(shares)):
            window = read_window(image, share.tile, stride_px=stride_px)
            outputs = view.inverse(engines[member](view.forward(window)[np.newaxis])[0], heads=heads)
            if run == 0 and (features := getattr(engines[0], "deep", None)) is not None:
                deep.append((window[0].size, features[0]))
            maps = outputs[:, *share.in_window]
            activate(maps, heads=heads, temperature=temperature)
            if share.weights is not None:
                maps *= share.weights
            own[:, share.rows, share.columns] += maps
            if progress is not None:
                progress(done, len(shares) * runs)
        if each is not None:
            each(member, split(own, heads=heads))
            stack += own
    if runs > 1:
        stack *= np.float32(1 / runs)
    return replace(split(stack, heads=heads), deep=_joined(deep))


def _joined(windows: Sequence[tuple[int, np.ndarray]]) -> np.ndarray | None:
    """(F,) mean and standard deviation of each channel over windows, of their pixels and these numbers of each."""
    if len(windows) < 2:
        return windows[0][1] if windows else None
    areas = np.array([area for area, _ in windows], np.float64)
    means, sds = np.split(np.stack([features for _, features in windows]).astype(np.float64), 2, axis=1)
    mean = areas @ means / areas.sum()
    variance = areas @ (sds**2 + (means - mean) ** 2) / areas.sum()
    return np.concatenate([mean, np.sqrt(variance)]).astype(np.float32)


def read_window(image: np.ndarray, tile: Tile, *, stride_px: int) -> np.ndarray:
    """Cut a window out of (C, H, W), mirrored where it reaches past the lower or right edge."""
    rows, columns = tile.row.read, tile.column.read
    if rows.stop <= image.shape[1] and columns.stop <= image.shape[2]:
        return image[:, rows, columns]
    row_numbers = _mirrored(image.shape[1], stride_px)[rows]
    column_numbers = _mirrored(image.shape[2], stride_px)[columns]
    return image[:, row_numbers[:, np.newaxis], column_numbers]


def _mirrored(length_px: int, stride_px: int) -> np.ndarray:
    """Pixel numbers of an axis padded to a multiple of the stride, by its edge where too short for a mirror."""
    missing_px = round_up(length_px, stride_px) - length_px
    return np.pad(np.arange(length_px), (0, missing_px), mode="reflect" if missing_px < length_px else "edge")
