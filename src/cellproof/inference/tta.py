"""The eight ways to lay a picture on the table, and back: test-time augmentation without resampling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_NO_FLOW = slice(0, 0)
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

    def forward(self, maps: np.ndarray, *, flow: slice = _NO_FLOW) -> np.ndarray:
        """Lay down an image or maps this way.

        Args:
            maps: (C, H, W).
            flow: The two channels that are a (row, column) vector, which turns with the picture.

        Returns:
            (C, H, W), or (C, W, H) after an odd number of turns; a view of ``maps`` without vectors.
        """
        turned = np.rot90(maps, self.turns, axes=(-2, -1))
        return _turn_vectors(turned[..., ::-1] if self.flip else turned, self._matrix, flow)

    def inverse(self, maps: np.ndarray, *, flow: slice = _NO_FLOW) -> np.ndarray:
        """Take what `forward` gave back to where it was, exactly."""
        straight = maps[..., ::-1] if self.flip else maps
        return _turn_vectors(np.rot90(straight, -self.turns, axes=(-2, -1)), self._matrix.T, flow)

    @property
    def _matrix(self) -> np.ndarray:
        """What the view does to a (row, column) vector, (2, 2)."""
        turn = np.linalg.matrix_power(_QUARTER_TURN, self.turns)
        return _FLIP @ turn if self.flip else turn


AS_IS = View(turns=0, flip=False)
"""The picture as it came."""

EIGHT_VIEWS = tuple(View(turns=turns, flip=flip) for flip in (False, True) for turns in range(4))
"""All flips and quarter turns; the first leaves the picture as it came."""


def _turn_vectors(maps: np.ndarray, matrix: np.ndarray, flow: slice) -> np.ndarray:
    """Apply ``matrix`` to the vector in channels ``flow``; the other channels stay."""
    if flow.stop == flow.start or np.array_equal(matrix, np.eye(2)):
        return maps
    result = maps.copy()
    result[flow] = np.einsum("ij,jhw->ihw", matrix, maps[flow])
    return result
