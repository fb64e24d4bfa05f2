"""Learned decisions between two sides, evaluated from plain numbers: polynomials, and sums of small trees.

Numbers are kept by name, as a model file holds them:

- a polynomial: ``mean`` and ``sd`` of the d features, and ``polynomial``, a coefficient for every product of as many
  standardized features as its degree says, a constant 1 counted among them, in the order of
  `itertools.combinations_with_replacement`;
- trees: ``base``, and of complete binary trees of depth `DEPTH` ``tree_feature`` and ``tree_threshold`` of their inner
  nodes, breadth first, and ``tree_value`` of their leaves from left to right; a feature above its threshold goes right.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations_with_replacement
from math import comb

import numpy as np

from ..checks import InputError

Numbers = Mapping[str, tuple[float, ...]]

DEPTH = 3
"""Of trees, whose leaves so fit into the bits of a byte."""

INNER, LEAVES = 2**DEPTH - 1, 2**DEPTH

HIGHEST_DEGREE = 3

_CHUNK = 2048
"""Pixels at a time, so that what is computed of them stays in the processor's cache."""


def decide(numbers: Numbers, features: np.ndarray) -> np.ndarray:
    """Decision for each row of features: inside where it is above 0.

    Args:
        numbers: What was learned, see above.
        features: (n, d) float32, finite.

    Returns:
        (n,) float64.

    Raises:
        InputError: the numbers are no decision on d features.

    Example:
        >>> line = {"mean": (0.5,), "sd": (0.25,), "polynomial": (-1.0, 2.0)}
        >>> decide(line, np.array([[0.5], [1.0]], np.float32))
        array([-1.,  3.])
    """
    check_numbers(numbers, features.shape[1])
    evaluate = _trees if "tree_value" in numbers else _polynomial
    return evaluate(numbers, features)


def check_numbers(numbers: Numbers, features: int) -> None:
    """Refuse numbers that are no decision on so many features, as a damaged file may hold.

    Raises:
        InputError: Saying which are of another length, or impossible.
    """
    lengths = {name: len(values) for name, values in numbers.items()}
    if "tree_value" in numbers:
        trees = lengths["tree_value"] // LEAVES
        wanted = {"base": 1, "tree_feature": INNER * trees, "tree_threshold": INNER * trees}
        wanted["tree_value"] = LEAVES * max(trees, 1)
        possible = all(value in range(features) for value in numbers.get("tree_feature", ()))
    else:
        degree = _degree(lengths.get("polynomial", 0), features)
        wanted = {"mean": features, "sd": features, "polynomial": comb(features + degree, degree)}
        possible = all(value > 0 for value in numbers.get("sd", ()))
    found = {name: lengths.get(name, 0) for name in wanted}
    if found != wanted or not possible:
        told = ", ".join(f"{count} of {name}" for name, count in found.items())
        raise InputError(
            f"what was learned is no decision on {features} features ({told}); copy the model again or train it anew"
        )


def _degree(count: int, features: int) -> int:
    """Degree of a polynomial of so many coefficients; that of a line where there is none of this length."""
    return next((n for n in range(1, HIGHEST_DEGREE + 1) if comb(features + n, n) == count), 1)


def polynomial_numbers(tensor: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> dict[str, tuple[float, ...]]:
    """Numbers of the polynomial that multiplies each axis of a tensor with (1, standardized features).

    Args:
        tensor: (d + 1, …), as many axes as the degree.
        mean: (d,).
        sd: (d,) above 0.

    Example:
        >>> polynomial_numbers(np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros(1), np.ones(1))["polynomial"]
        (1.0, 5.0, 4.0)
    """
    sums: dict[tuple[int, ...], float] = {}
    for place, value in np.ndenumerate(tensor):
        key = tuple(sorted(place))
        sums[key] = sums.get(key, 0.0) + float(value)
    ordered = tuple(sums[key] for key in combinations_with_replacement(range(len(mean) + 1), tensor.ndim))
    return {"mean": tuple(map(float, mean)), "sd": tuple(map(float, sd)), "polynomial": ordered}


def _polynomial(numbers: Numbers, features: np.ndarray) -> np.ndarray:
    mean, sd = (np.array(numbers[name])[:, None] for name in ("mean", "sd"))
    width = len(mean) + 1
    degree = _degree(len(numbers["polynomial"]), len(mean))
    tensor: np.ndarray = np.zeros((width,) * degree)
    for place, coefficient in zip(
        combinations_with_replacement(range(width), degree), numbers["polynomial"], strict=True
    ):
        tensor[place] = coefficient
    decision = np.empty(len(features))
    for start in range(0, len(features), _CHUNK):
        part = features[start : start + _CHUNK]
        factors = np.ones((width, len(part)))
        factors[1:] = (part.T - mean) / sd
        # Horner's scheme in several variables: one axis of the tensor after the other is multiplied away.
        value: np.ndarray = tensor.reshape(-1, width) @ factors
        while len(value) > 1:
            value = np.einsum("kin,in->kn", value.reshape(-1, width, len(part)), factors)
        decision[start : start + _CHUNK] = value[0]
    return decision


def _trees(numbers: Numbers, features: np.ndarray) -> np.ndarray:
    """Sum of the leaves that rows fall into, all trees at once.

    A leaf is a bit of a byte. Where a feature is above a node's threshold, the leaves under its left branch are out;
    what is out by one feature depends on the number of its thresholds below the value alone, and so is looked up. The
    first leaf that no node puts out is the row's.

    References:
        Lucchese et al. (2015). QuickScorer. SIGIR, pages 73-82. doi:10.1145/2766462.2767733
    """
    thresholds, left_in = _by_feature(numbers, features.shape[1])
    trees = len(numbers["tree_value"]) // LEAVES
    first_bit = np.array([(byte & -byte).bit_length() - 1 if byte else 0 for byte in range(256)])
    values = np.array(numbers["tree_value"]).reshape(trees, LEAVES)[:, first_bit].ravel()
    offsets, ones = np.arange(trees, dtype=np.intp) * 256, np.ones(trees)
    decision = np.empty(len(features))
    for start in range(0, len(features), _CHUNK):
        part = features[start : start + _CHUNK]
        alive = np.full((len(part), trees), 255, np.uint8)
        for column, (own, allowed) in enumerate(zip(thresholds, left_in, strict=True)):
            alive &= allowed[np.searchsorted(own, part[:, column], side="left")]
        decision[start : start + _CHUNK] = values.take(alive + offsets) @ ones
    return decision + numbers["base"][0]


def _by_feature(numbers: Numbers, features: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Thresholds of each feature, ascending, and (k + 1, trees) bytes: the leaves left in above k of them."""
    used = np.array(numbers["tree_feature"]).astype(int)
    thresholds = np.array(numbers["tree_threshold"])
    trees = len(used) // INNER
    outs = np.array([_under_left(node) for node in range(INNER)], np.uint8)
    found, tables = [], []
    for feature in range(features):
        nodes = np.flatnonzero(used == feature)
        nodes = nodes[np.argsort(thresholds[nodes], kind="stable")]
        table = np.full((len(nodes) + 1, trees), 255, np.uint8)
        table[np.arange(1, len(nodes) + 1), nodes // INNER] = ~outs[nodes % INNER]
        found.append(thresholds[nodes])
        tables.append(np.bitwise_and.accumulate(table, axis=0))
    return found, tables


def _under_left(node: int) -> int:
    """Bits of the leaves under the left branch of a node, numbered breadth first."""
    depth = (node + 1).bit_length() - 1
    leaves = LEAVES >> (depth + 1)
    first = (node + 1 - (1 << depth)) * 2 * leaves
    bits: int = ((1 << leaves) - 1) << first
    return bits
