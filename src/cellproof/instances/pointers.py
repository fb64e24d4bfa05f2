"""Following pointers to their end by doubling: n hops in log2(n) gathers."""

from __future__ import annotations

import numpy as np


def follow_pointers(pointers: np.ndarray, *, doublings: int) -> np.ndarray:
    """Where each element stands after ``2 ** doublings`` hops.

    ``pointers[i]`` is the element that i hops to. Pointers of pointers are hops of twice the
    length, so each gather doubles the distance; it ends early where nothing moves any more.

    Args:
        pointers: (n,) whole numbers in 0…n-1; an element that points to itself is an end.
        doublings: Number of gathers at most.

    Returns:
        (n,) array of the same dtype. An element caught in a cycle stands somewhere in that cycle.

    References:
        Wyllie (1979). The complexity of parallel computations. Cornell University,
        technical report 79-387 (pointer jumping).
    """
    for _ in range(doublings):
        further = pointers[pointers]
        if np.array_equal(further, pointers):
            break
        pointers = further
    return pointers
