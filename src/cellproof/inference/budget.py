"""How large a window may be for a given amount of memory."""

from __future__ import annotations

from ..checks import InputError
from ..types import Heads

_RESIDENT_BYTES = 450_000_000
"""The interpreter, torch or OpenVINO and the weights, before the first image; measured, rounded up."""


def window_pixels(max_memory_bytes: int, *, shape: tuple[int, int, int], heads: Heads, bytes_per_pixel: int) -> int:
    """Largest window, in pixels, for which a prediction stays within ``max_memory_bytes`` of process memory.

    Args:
        max_memory_bytes: Memory for the whole process.
        shape: (C, H, W) of the image.
        heads: Meaning of the network's output channels.
        bytes_per_pixel: The engine's estimate for a pixel of a window.

    Raises:
        InputError: When the image and its maps alone take more.
    """
    channels, height, width = shape
    fixed_bytes = _RESIDENT_BYTES + 4 * (channels + heads.channels) * height * width
    if fixed_bytes >= max_memory_bytes:
        raise InputError(
            f"{max_memory_bytes / 1e9:.2f} GB of memory were allowed, but an image of {height} × {width} pixels and "
            f"its maps take {fixed_bytes / 1e9:.2f} GB before any window; allow more memory or cut the image"
        )
    return (max_memory_bytes - fixed_bytes) // bytes_per_pixel
