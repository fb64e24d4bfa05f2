"""Curves of a model whose certainty is known to be true, or too high."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from cellproof.inference.activate import Maps
from cellproof.types import LogisticModel, Sample, TrustRecord
from cellproof.workflows.train.certainty import certainty_of
from cellproof.workflows.train.tune import calibrate

IMAGES = "images and degraded copies: expected F1"


def drawn(seed):
    """A sample whose classes are drawn by the probabilities of its maps; its first rows are not annotated."""
    rng = np.random.default_rng(seed)
    foreground = np.clip(np.linspace(0, 1, 90) + rng.normal(0, 0.02, (100, 90)), 0.01, 0.99).astype(np.float32)
    classes = (rng.random(foreground.shape) < foreground).astype(np.uint8)
    classes[:10] = 255
    return Sample(foreground[None], classes), Maps(np.stack([1 - foreground, foreground]))


def test_true_probabilities_lie_on_the_diagonal_and_their_risk_is_one_minus_confidence():
    samples, maps = zip(*(drawn(seed) for seed in range(6)), strict=True)
    found = certainty_of(samples, maps, temperature=1.0, trust=None)
    assert set(found.reliability) == {"all pixels", "pixels of predicted foreground"}
    for said, true in found.reliability.values():
        np.testing.assert_allclose(said, true, atol=0.03)
    ((coverage, risk),) = found.risk.values()
    assert coverage[-1] == 1.0
    confidence = np.sort(np.concatenate([one.probabilities.max(axis=0)[10:].ravel() for one in maps]))[::-1]
    expected = np.cumsum(1 - confidence) / np.arange(1, confidence.size + 1)
    places = (np.array(coverage) * confidence.size).round().astype(int) - 1
    np.testing.assert_allclose(risk[5:], expected[places][5:], atol=0.01)


def test_a_model_that_is_too_sure_lies_below_the_diagonal():
    samples, maps = zip(*(drawn(seed) for seed in range(6)), strict=True)
    assert calibrate(samples, maps) == pytest.approx(1, abs=0.05)
    said, true = certainty_of(samples, maps, temperature=0.4, trust=None).reliability["all pixels"]
    middle = [(one, other) for one, other in zip(said, true, strict=True) if 0.6 < one < 0.95]
    assert all(one > other + 0.03 for one, other in middle)


def test_images_are_told_by_the_record_alone():
    samples, maps = zip(*(drawn(seed) for seed in range(2)), strict=True)
    record = TrustRecord(
        objects=LogisticModel(),
        f1=LogisticModel(),
        count_log_ratio=(0.0,),
        count_features=(),
        count_error=(0.0, 0.0),
        accept_f1=0.8,
        accept_dice=0.8,
        held_out_expected=(0.95, 0.95, 0.55, 0.55),
        held_out_true=(1.0, 0.8, 0.7, 0.5),
    )
    found = certainty_of(samples, maps, temperature=1.0, trust=record)
    np.testing.assert_allclose(found.reliability[IMAGES], [[0.55, 0.95], [0.6, 0.9]])
    coverage, risk = found.risk["images, by their expected F1: 1 - F1"]
    np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(risk, [0.1, 0.1, (0.1 + 0.1 + 0.4) / 3, 0.25])
    older = msgspec.structs.replace(record, held_out_expected=(), held_out_true=())
    assert IMAGES not in certainty_of(samples, maps, temperature=1.0, trust=older).reliability


def test_without_an_annotated_pixel_there_is_no_curve():
    sample, maps = drawn(0)
    nothing = Sample(sample.image, np.full_like(sample.class_map, 255))
    found = certainty_of([nothing], [maps], temperature=1.0, trust=None)
    assert not found.reliability
    assert not found.risk
