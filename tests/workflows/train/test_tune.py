"""The temperature that calibration finds on drawn maps, from both sides."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from cellproof.inference.activate import Maps
from cellproof.types import IGNORE, Sample
from cellproof.workflows.train.tune import calibrate, specks


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


def test_specks_are_fractions_of_the_median_object_where_objects_are_large():
    labels = np.zeros((100, 100), np.int32)
    labels[:40, :40], labels[50:90, 50:90], labels[0, 99] = 1, 2, 3
    large = Sample(np.zeros((1, 100, 100), np.float32), (labels > 0).astype(np.uint8), labels)
    # The median object has 1,600 pixels: a 64th of it is below the sizes that are tried anyway.
    assert specks([large]) == (50, 100, 200)
    small = Sample(large.image[:, :9, :9], large.class_map[:9, :9], (labels[:9, :9] > 0).astype(np.int32))
    assert specks([small]) == ()
