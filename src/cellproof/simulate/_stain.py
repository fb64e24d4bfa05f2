"""Stained sections: light that passes dyes, after Beer and Lambert."""

from __future__ import annotations

import math

import numpy as np

# Rows: optical density of hematoxylin and eosin in red, green, blue.
# Macenko et al. (2009). A method for normalizing histology slides for quantitative analysis. ISBI.
# doi:10.1109/ISBI.2009.5193250 (the reference slide of their code).
_HEMATOXYLIN_EOSIN = np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]], np.float32)


def draw_dyes(rng: np.random.Generator, *, variation: float) -> np.ndarray:
    """Optical densities (2, 3) of this laboratory's hematoxylin and eosin, of unit length.

    Args:
        rng: Source of chance.
        variation: 0 gives the published colors; 0.1 a visible difference between laboratories.
    """
    dyes = np.clip(_HEMATOXYLIN_EOSIN + variation * rng.normal(size=(2, 3)), 0.02, None)
    return np.asarray(dyes / np.linalg.norm(dyes, axis=1, keepdims=True), np.float32)


def transmit(amounts: np.ndarray, dyes: np.ndarray) -> np.ndarray:
    """Share of white light that passes.

    Args:
        amounts: (2, H, W) optical density of each dye, >= 0.
        dyes: (2, 3) from `draw_dyes`.

    Returns:
        (H, W, 3) float32 in (0, 1].
    """
    density = np.einsum("dhw,dc->hwc", np.maximum(amounts, 0), dyes)
    return np.asarray(np.exp(-math.log(10) * density), np.float32)
