"""The projection against the eigenvectors of the correlation, and against drawn arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.difficulty.deep import UNIT, deep_statistics, fit_projection


def test_directions_are_the_eigenvectors_of_the_correlation():
    rng = np.random.default_rng(0)
    deep = rng.normal(size=(400, 3)) @ np.array([[2.0, 1.5, 0], [0, 1, 0.5], [0, 0, 4]])
    found = np.reshape(fit_projection(deep, ["gray"] * 400, directions=2).directions, (2, 3))
    values, vectors = np.linalg.eigh(np.corrcoef(deep.T))
    for own, expected in zip(found, vectors.T[::-1], strict=False):
        assert abs(own @ expected) == pytest.approx(1, abs=1e-3)
    assert values[2] > values[1]


def test_a_kind_of_many_images_counts_as_the_root_of_their_number():
    deep = np.array([[0.0]] * 100 + [[1.0]] * 4)
    assert fit_projection(deep, ["a"] * 100 + ["b"] * 4).mean[0] == pytest.approx(2 / 12, abs=1e-5)


def test_what_lies_in_the_space_has_no_rest_and_what_lies_beside_it_has_no_place():
    deep = np.array([[1.0, 0.0, 5.0], [-1.0, 0.0, 5.0], [3.0, 0.0, 5.0], [-3.0, 0.0, 5.0]])
    projection = fit_projection(deep, ["gray"] * 4, directions=1)
    within = deep_statistics(projection, np.array([2.0, 0.0, 5.0]))
    assert within["deep_1"] == pytest.approx(2 / math.sqrt(5) / UNIT, abs=1e-4)
    assert within["deep_rest"] == pytest.approx(math.log(0.03))
    beside = deep_statistics(projection, np.array([0.0, 1.0, 5.0]))
    assert beside["deep_1"] == pytest.approx(0, abs=1e-9)
    # The second feature never changed, so that its standard deviation is the smallest there is.
    assert beside["deep_rest"] == pytest.approx(math.log(1000))


def test_an_image_without_deep_features_tells_nothing():
    projection = fit_projection(np.eye(3), ["gray"] * 3, directions=2)
    assert all(math.isnan(value) for value in deep_statistics(projection, None).values())


def test_features_of_another_network_are_refused():
    projection = fit_projection(np.eye(3), ["gray"] * 3)
    with pytest.raises(InputError, match=r"deep has shape \(4,\), expected \(3,\)"):
        deep_statistics(projection, np.zeros(4))
    with pytest.raises(InputError, match="give finite features of at least 2 images"):
        fit_projection(np.array([[1.0], [np.nan]]), ["gray"] * 2)
