"""Raw intensities become network input."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..checks import InputError, check_finite, check_ndim
from ..types import Normalization, Unknown

LOWEST, HIGHEST = -1.0, 3.0
"""Results are clipped to this: a hot pixel or a dust grain must not dominate what the network computes."""

MOST_PIXELS = 1_000_000
"""Percentiles of larger planes come from a regular grid of at most about this many pixels."""


def normalize(pixels: np.ndarray, normalization: Normalization) -> np.ndarray:
    """Scale each channel so that its low percentile becomes 0 and its high percentile 1.

    Above a million pixels the percentiles are those of every second, third, … row and column: the same
    for the same image, and quick.

    Args:
        pixels: (C, H, W) of any real dtype.
        normalization: The percentiles, and what to do with channels that are nearly empty.

    Returns:
        (C, H, W) float32, clipped to [-1, 3]; a constant image becomes zeros.

    Raises:
        InputError: NaN or infinite values, no pixels, or percentiles out of order.
    """
    check_ndim(3, image=pixels)
    check_finite(image=pixels)
    if not pixels.size:
        raise InputError(f"image has shape {pixels.shape}, expected at least one channel and one pixel")
    low_percentile, high_percentile = normalization.low_percentile, normalization.high_percentile
    if not 0 <= low_percentile < high_percentile <= 100:
        raise InputError(f"percentiles are {low_percentile:g} and {high_percentile:g}, expected 0 ≤ low < high ≤ 100")
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    step = math.ceil(math.sqrt(pixels.shape[1] * pixels.shape[2] / MOST_PIXELS))
    seen = pixels[:, ::step, ::step]
    channels = seen.reshape(len(seen), -1) if normalization.per_channel else seen.reshape(1, -1)
    low, high = np.percentile(channels, [low_percentile, high_percentile], axis=1).astype(np.float64)
    if (low == high).all():
        # Few bright pixels on an even ground: percentiles pass them by.
        everything = pixels.reshape(len(channels), -1)
        low, high = everything.min(axis=1).astype(np.float64), everything.max(axis=1).astype(np.float64)
    return _scale(pixels, low, high - low, smallest_range=normalization.smallest_range)


def fit_channels(pixels: np.ndarray, in_channels: int) -> np.ndarray:
    """Give an image the number of channels that a network reads.

    Gray is repeated; an image whose channels are all equal counts as gray.

    Args:
        pixels: (C, H, W).
        in_channels: Channels wanted.

    Returns:
        (in_channels, H, W), perhaps a read-only view.

    Raises:
        InputError: Neither fits; which channels to take is for the user to say.
    """
    check_ndim(3, image=pixels)
    count = len(pixels)
    if count == in_channels:
        return pixels
    if count and (pixels == pixels[:1]).all():
        return np.broadcast_to(pixels[:1], (in_channels, *pixels.shape[1:]))
    raise InputError(
        f"the image has {count} channels, the model reads {in_channels}; choose {_as_words(count, in_channels)}",
        argument="channels",
    )


def _as_words(count: int, in_channels: int) -> str:
    """Channels that could be chosen of ``count``, in words; gray is repeated for a network that reads more."""
    if count < in_channels:
        return f"one of them, 0 to {count - 1}"
    return f"{in_channels} of them, for example {','.join(str(number) for number in range(in_channels))}"


def _scale(pixels: np.ndarray, low: np.ndarray, ranges: np.ndarray, *, smallest_range: float) -> np.ndarray:
    """(pixels - low) / range for each channel, or for all with the one value given; float32, clipped."""
    widest = ranges.max()
    if widest == 0:
        return np.zeros(pixels.shape, np.float32)
    ranges = np.maximum(ranges, smallest_range * widest)
    # A channel without any contrast, where the options ask for no smallest range, stays empty too.
    ranges = np.where(ranges > 0, ranges, widest)
    # float32 where it holds the values exactly, float64 for 32-bit integers and doubles.
    dtype = np.result_type(pixels.dtype, np.float32)
    scaled = np.empty(pixels.shape, np.float32)
    for channel, base, width in zip(range(len(pixels)), *_one_each(low, ranges, len(pixels)), strict=True):
        inside = np.clip(pixels[channel].astype(dtype), base + LOWEST * width, base + HIGHEST * width)
        scaled[channel] = (inside - dtype.type(base)) / dtype.type(width)
    return np.clip(scaled, LOWEST, HIGHEST, out=scaled)


def _one_each(low: np.ndarray, ranges: np.ndarray, channels: int) -> tuple[list[float], list[float]]:
    """Limits of every channel, from one for each or one for all."""
    return np.broadcast_to(low, channels).tolist(), np.broadcast_to(ranges, channels).tolist()


def with_condition(
    image: np.ndarray, conditions: Sequence[str], value: str, *, unknown: Unknown = "zeros"
) -> np.ndarray:
    """An image with one constant channel per condition after its own: 1 for the value, 0 for the others.

    Args:
        image: (C, H, W) float32, normalized.
        conditions: Values that the network may be told.
        value: One of them; "" for unknown.
        unknown: What all channels are then: "zeros", or "mean", the mean over the conditions, 1 / their number, which
            lies between what the network is told of known ones.

    Returns:
        (C + len(conditions), H, W) float32; the image itself without conditions.

    Raises:
        InputError: The value is none of the conditions.

    Examples:
        >>> with_condition(np.zeros((1, 1, 1), np.float32), ("astro", "cort"), "cort").ravel().tolist()
        [0.0, 0.0, 1.0]
        >>> with_condition(np.zeros((1, 1, 1), np.float32), ("astro", "cort"), "", unknown="mean").ravel().tolist()
        [0.0, 0.5, 0.5]
    """
    if value and value not in conditions:
        known = f"expected one of {', '.join(conditions)}" if conditions else "the model has no conditions"
        raise InputError(f"condition is {value!r}; {known}", argument="condition")
    if not conditions:
        return image
    if not value and unknown == "mean":
        told = np.full(len(conditions), 1 / len(conditions), np.float32)
    else:
        told = np.array([float(value == one) for one in conditions], np.float32)
    planes = np.broadcast_to(told[:, np.newaxis, np.newaxis], (len(conditions), *image.shape[1:]))
    return np.concatenate([image, planes])
