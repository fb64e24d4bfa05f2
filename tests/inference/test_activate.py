"""Activation against SciPy's formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from cellproof.checks import InputError
from cellproof.data.targets import heads_of
from cellproof.inference.activate import activate
from cellproof.types import Head, Heads

ALL_HEADS = heads_of(3, ["boundary", "distance", "flows"])


@pytest.mark.parametrize("classes", [1, 2, 3, 5])
@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.5])
def test_probabilities_equal_scipys_softmax(rng: np.random.Generator, classes: int, temperature: float) -> None:
    logits = rng.normal(0, 8, (classes, 6, 7)).astype(np.float32)
    expected = special.softmax(logits.astype(float) / temperature, axis=0)
    probabilities = activate(logits, heads=Heads(classes=classes), temperature=temperature).probabilities
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)


def test_each_head_gets_its_own_activation(rng: np.random.Generator) -> None:
    outputs = rng.normal(0, 2, (7, 5, 4)).astype(np.float32)
    before = outputs.astype(float)
    maps = activate(outputs, heads=ALL_HEADS)
    np.testing.assert_allclose(maps.probabilities, special.softmax(before[:3], axis=0), atol=1e-6)
    np.testing.assert_allclose(maps.fields["boundary"][0], special.expit(before[3]), atol=1e-6)
    np.testing.assert_allclose(maps.fields["distance"][0], before[4].clip(0, 1), atol=1e-7)
    np.testing.assert_array_equal(maps.fields["flows"], before[5:].astype(np.float32))
    assert np.shares_memory(maps.fields["boundary"][0], outputs)


@pytest.mark.parametrize("classes", [2, 3])
def test_extreme_logits_give_zero_and_one(classes: int) -> None:
    logits = np.full((classes, 1, 2), -1e30, np.float32)
    logits[0, 0, 0] = logits[1, 0, 1] = 1e30
    probabilities = activate(logits, heads=Heads(classes=classes)).probabilities
    np.testing.assert_array_equal(probabilities[:2, 0], np.eye(2))


def test_a_head_that_is_not_there_has_no_map() -> None:
    assert activate(np.zeros((2, 1, 1), np.float32), heads=Heads(classes=2)).fields == {}


def test_probabilities_of_a_head_are_sigmoids_whatever_its_other_channels_are() -> None:
    heads = Heads(1, (Head("stars", 5, activation="positive", geometry="rays", probabilities=1),))
    outputs = np.array([0, -2, 3, -1, 0, 5], np.float32).reshape(6, 1, 1)
    stars = activate(outputs, heads=heads).fields["stars"].ravel()
    np.testing.assert_allclose(stars, [special.expit(-2.0), 3, 0, 0, 5], rtol=1e-6)


def test_lengths_are_never_negative() -> None:
    heads = Heads(2, (Head("reach", activation="positive", geometry="length"),))
    outputs = np.array([0, 0, -3], np.float32).reshape(3, 1, 1).repeat(2, axis=2)
    outputs[2, 0, 1] = 2.5
    assert activate(outputs, heads=heads).fields["reach"].tolist() == [[[0, 2.5]]]


def test_a_unit_multiplies_what_is_no_probability() -> None:
    heads = Heads(2, (Head("star_convex", 3, activation="positive", geometry="rays", probabilities=1, unit=4.0),))
    outputs = np.array([0.0, 0.0, np.log(3), 2.5, -1.0], np.float32)[:, None, None]
    maps = activate(outputs, heads=heads)
    np.testing.assert_allclose(maps.fields["star_convex"].ravel(), [0.75, 10.0, 0.0], rtol=1e-6)


def test_outputs_of_another_model_are_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(2, 3, 3\), but the heads have 7 channels"):
        activate(np.zeros((2, 3, 3), np.float32), heads=ALL_HEADS)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float) -> None:
    with pytest.raises(InputError, match="temperature"):
        activate(np.zeros((2, 3, 3), np.float32), heads=Heads(classes=2), temperature=temperature)
