"""The eight ways to lay an image on the table, and back: test-time augmentation without resampling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..types import Heads

_QUARTER_TURN = np.array([[0, -1], [1, 0]], np.float32)  # (row, column) → (-column, row), as np.rot90 moves pixels
_FLIP = np.array([[1, 0], [0, -1]], np.float32)


@dataclass(frozen=True)
class View:
    """Quarter turns, then perhaps a flip of the columns: one element of the dihedral group of the square.

    Attributes:
        turns: Quarter turns anticlockwise, 0 to 3.
        flip: Whether columns are then reversed.
    """

    turns: int
    flip: bool

    def forward(self, maps: np.ndarray, *, heads: Heads | None = None) -> np.ndarray:
        """Lay down an image or maps this way.

        Args:
            maps: (C, H, W).
            heads: What the channels mean, where they are outputs of a network: vectors and rays turn with the image.

        Returns:
            (C, H, W), or (C, W, H) after an odd number of turns; a view of ``maps`` without vectors and rays.
        """
        turned = np.rot90(maps, self.turns, axes=(-2, -1))
        return _turn_values(turned[..., ::-1] if self.flip else turned, self._matrix, heads)

    def inverse(self, maps: np.ndarray, *, heads: Heads | None = None) -> np.ndarray:
        """Take what `forward` gave back to where it was, exactly."""
        straight = maps[..., ::-1] if self.flip else maps
        return _turn_values(np.rot90(straight, -self.turns, axes=(-2, -1)), self._matrix.T, heads)

    @property
    def _matrix(self) -> np.ndarray:
        """What the view does to a (row, column) vector, (2, 2)."""
        turn = np.linalg.matrix_power(_QUARTER_TURN, self.turns)
        return _FLIP @ turn if self.flip else turn


AS_IS = View(turns=0, flip=False)
"""The image as it came."""

ONE_VIEW = (AS_IS,)
"""The image as it came, alone."""

FOUR_VIEWS = tuple(View(turns=turns, flip=flip) for flip in (False, True) for turns in (0, 2))
"""The image as it came, turned by half, and both mirrored: those whose rows stay rows."""

EIGHT_VIEWS = tuple(View(turns=turns, flip=flip) for flip in (False, True) for turns in range(4))
"""All flips and quarter turns; the first leaves the image as it came."""


def _turn_values(maps: np.ndarray, matrix: np.ndarray, heads: Heads | None) -> np.ndarray:
    """Apply ``matrix`` to vectors, and move rays to the directions that it gives them; other channels stay."""
    turning = [head for head in heads.fields if head.geometry in ("vector", "rays")] if heads is not None else []
    if heads is None or not turning or np.array_equal(matrix, np.eye(2)):
        return maps
    result = maps.copy()
    for head in turning:
        whole = heads.slices[head.name]
        own = slice(whole.start + head.probabilities, whole.stop)
        if head.geometry == "vector":
            result[own] = np.einsum("ij,jhw->ihw", matrix, maps[own])
        else:
            result[own][_moved_rays(own.stop - own.start, matrix)] = maps[own]
    return result


def _moved_rays(count: int, matrix: np.ndarray) -> np.ndarray:
    """Number of the ray that each of ``count`` rays becomes; ray k points to row sin 2πk/n, column cos 2πk/n."""
    angles = 2 * np.pi * np.arange(count) / count
    row, column = matrix @ np.stack([np.sin(angles), np.cos(angles)])
    moved: np.ndarray = np.rint(np.arctan2(row, column) * count / (2 * np.pi)).astype(int) % count
    return moved
