"""The temperature that calibration finds on drawn maps, from both sides."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from cellproof.difficulty.calibration import expected_calibration_error
from cellproof.inference.activate import Maps
from cellproof.types import IGNORE, Sample
from cellproof.workflows.train.tune import calibrate


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_calibration_finds_the_temperature_by_which_logits_were_multiplied(temperature):
    rng = np.random.default_rng(0)
    samples, maps = [], []
    for _ in range(2):
        logits = rng.normal(0, 1.5, (3, 150, 150))
        chances = softmax(logits, axis=0).cumsum(axis=0)
        classes = (rng.random((150, 150)) > chances[:-1]).sum(axis=0).astype(np.uint8)
        samples.append(Sample(np.zeros((1, 150, 150), np.float32), classes))
        maps.append(Maps(softmax(logits * temperature, axis=0).astype(np.float32)))
    assert calibrate(samples, maps) == pytest.approx(temperature, rel=0.04)


def test_pixels_without_annotation_do_not_heat():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 1.5, (2, 200, 200))
    classes = (rng.random((200, 200)) > softmax(logits, axis=0)[0]).astype(np.uint8)
    maps = Maps(softmax(logits, axis=0).astype(np.float32))
    classes[:100] = IGNORE
    assert calibrate([Sample(np.zeros((1, 200, 200), np.float32), classes)], [maps]) == pytest.approx(1, rel=0.05)


def test_the_mean_of_networks_that_disagree_is_less_sure_than_it_is_right():
    """Why a temperature of single networks is no temperature of their mean."""
    rng = np.random.default_rng(0)
    evidence = rng.normal(0, 1, 40_000)
    true = (rng.random(40_000) < 1 / (1 + np.exp(-3 * evidence))).astype(np.uint8)
    samples = [Sample(np.zeros((1, 200, 200), np.float32), true.reshape(200, 200))]
    logits = [3 * evidence + rng.normal(0, 3, 40_000) for _ in range(5)]
    single = [softmax(np.stack([np.zeros(40_000), one]), axis=0).reshape(2, 200, 200) for one in logits]
    temperature = calibrate(samples, [Maps(single[0].astype(np.float32))])
    cooled = np.array([1 / (1 + np.exp(-one / temperature)) for one in logits])
    sure, right = {}, {}
    for name, foreground in (("single", cooled[0]), ("mean", cooled.mean(axis=0))):
        sure[name], right[name] = np.maximum(foreground, 1 - foreground), (foreground > 0.5) == true
    assert expected_calibration_error(sure["single"], right["single"]) < 0.03
    assert expected_calibration_error(sure["mean"], right["mean"]) > 0.05
    assert right["mean"].mean() > sure["mean"].mean() + 0.05
