"""Raw intensities → 8-bit colors for the eye."""

from __future__ import annotations

import numpy as np

_LOW_PERCENTILE, _HIGH_PERCENTILE = 0.5, 99.8
_SAMPLED_PX = 1 << 18
_DARK_BELOW, _DARK_GAMMA = 0.25, 0.6

# Two channels in green and magenta, three in cyan, magenta and yellow: told apart with any color vision.
_TWO_LIGHTS = np.array([[0, 255, 0], [255, 0, 255]], np.float32)
_THREE_LIGHTS = np.array([[0, 190, 255], [255, 0, 190], [255, 190, 0]], np.float32)


def displayed(image: np.ndarray) -> np.ndarray:
    """Stretch an image's contrast for the eye.

    Args:
        image: (C, H, W) of any real dtype. One channel is gray. Three 8-bit channels are a color image,
            stretched together so that hues stay. Otherwise the first three channels are lights of their own.

    Returns:
        (H, W, 3) uint8; the 0.5th percentile is black, the 99.8th white; an image of one value is black.
        Where their mean is below a quarter, as in fluorescence, a gamma of 0.6 brings out dim objects.
    """
    if image.shape[0] == 1:
        return np.repeat(_stretch(image[0])[..., None], 3, axis=2)
    if image.shape[0] == 3 and image.dtype == np.uint8:
        return _stretch(np.ascontiguousarray(np.moveaxis(image, 0, 2)))
    channels = image[:3]
    lights = _TWO_LIGHTS if len(channels) == 2 else _THREE_LIGHTS
    total = np.zeros((*image.shape[1:], 3), np.float32)
    for channel, light in zip(channels, lights, strict=True):
        total += _stretch(channel)[..., None] * (light / 255)
    return np.minimum(total, 255).astype(np.uint8)


def _stretch(values: np.ndarray) -> np.ndarray:
    """Percentiles to 0…255, and a gamma for dark values; both are found on a regular sample."""
    sample = values.ravel()[:: max(1, values.size // _SAMPLED_PX)]
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return np.zeros(values.shape, np.uint8)
    low, high = (float(edge) for edge in np.percentile(sample, (_LOW_PERCENTILE, _HIGH_PERCENTILE)))
    if high <= low:
        return np.zeros(values.shape, np.uint8)
    gamma = _DARK_GAMMA if np.clip((sample - low) / (high - low), 0, 1).mean() < _DARK_BELOW else 1.0
    if values.dtype in (np.uint8, np.uint16):
        steps = np.arange(np.iinfo(values.dtype).max + 1)
        return np.asarray((255 * np.clip((steps - low) / (high - low), 0, 1) ** gamma).astype(np.uint8)[values])
    finite = np.nan_to_num(np.asarray(values, np.float32), nan=low, posinf=high, neginf=low)
    # Eight bits hold 256 grays; a table of 4096 steps is as good as a power of every pixel, and quicker.
    table = (255 * np.linspace(0, 1, 4096) ** gamma).astype(np.uint8)
    return np.asarray(table[(np.clip((finite - low) / (high - low), 0, 1) * 4095).astype(np.uint16)])
