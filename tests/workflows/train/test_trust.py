from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from scipy import ndimage

from cellproof.checks import InputError
from cellproof.difficulty.confidence import confidence
from cellproof.inference.activate import Maps, tempered
from cellproof.instances.decode import decode
from cellproof.types import Head, Heads, InstanceOptions, ModelHeader, Promise, Sample
from cellproof.workflows.predict import Labeled
from cellproof.workflows.segment.trust import OLD_KIND, judge_plane, promised
from cellproof.workflows.segment.write import is_doubtful
from cellproof.workflows.train.trust import degrade, fit_on_held_out

OPTIONS = InstanceOptions(method="components", smallest_area_px=5)


def sample(seed):
    """Sixteen squares; some are faint, and a faint one is no object of the reference."""
    rng = np.random.default_rng(seed)
    instances = np.zeros((80, 80), np.int32)
    image = rng.normal(0.1, 0.02, (80, 80))
    for place in range(16):
        top, left = 20 * (place // 4) + 4, 20 * (place % 4) + 4
        own = np.s_[top : top + rng.integers(8, 13), left : left + 10]
        brightness = rng.uniform(0.4, 1.0)
        image[own] = brightness
        if rng.random() < (brightness - 0.3) * 1.5:
            instances[own] = instances.max() + 1
    return Sample(image[None].astype(np.float32), (instances > 0).astype(np.uint8), instances)


def predict(number, image):
    """A network that takes blurred brightness for probability."""
    foreground = np.clip(ndimage.gaussian_filter(image[0], 1) * 1.2, 0.001, 0.999).astype(np.float32)
    return Maps(np.stack([1 - foreground, foreground]), {})


@pytest.fixture(scope="module")
def trust():
    samples = [sample(seed) for seed in range(14)]
    return fit_on_held_out(samples, ["squares"] * 14, predict, options=OPTIONS, copies=True, say=pytest.fail)


def header(trust):
    return ModelHeader(
        name="squares",
        architecture="unet",
        heads=Heads(2, (Head("boundary", activation="sigmoid"),)),
        classes=("background", "square"),
        in_channels=1,
        stride_px=1,
        receptive_field_px=1,
        instance=OPTIONS,
        trust=trust,
    )


def judged(trust, image):
    maps = predict(0, image)
    labels = decode(maps.probabilities, maps.fields, options=OPTIONS)
    view = Labeled(1.0, maps, labels, (labels > 0).astype(np.uint8))
    sure = confidence(maps.probabilities)
    return judge_plane(header(trust), image, view, sure=sure, diameters_px=np.full(labels.max(), 10.0)), labels


def test_faint_objects_are_found_less_likely_to_be_right(trust):
    assert trust.metrics["object_auroc"] > 0.7
    assert trust.images == 14
    fresh = sample(99)
    (quality, right), labels = judged(trust, fresh.image)
    brightness = ndimage.mean(fresh.image[0], labels, np.arange(1, labels.max() + 1))
    assert np.corrcoef(right, brightness)[0, 1] > 0.7
    assert 0 < quality.expected_f1 < 1
    assert quality.expected_count == pytest.approx(fresh.instances.max(), abs=5)


def test_another_image_is_foreign_to_the_squares(trust):
    stripes = np.tile(np.sin(np.arange(80) * 2) > 0, (80, 1)).astype(np.float32)[None]
    (quality, _), _ = judged(trust, stripes)
    assert quality.verdict != "accept"
    assert "unlike the training images (nearest kind: squares" in quality.why


def test_a_model_without_a_record_says_that_it_judges_by_pixels_alone():
    (quality, right), _ = judged(None, sample(1).image)
    assert right is None
    assert quality.why.endswith(f"({OLD_KIND})")
    assert np.isnan(quality.expected_f1)


def test_too_few_held_out_samples_are_said(trust):
    said = []
    few = [sample(seed) for seed in range(3)]
    assert fit_on_held_out(few, [""] * 3, predict, options=OPTIONS, copies=False, say=said.append) is None
    assert "3 held-out images are too few" in said[0]
    perfect = [replace(one, instances=(one.image[0] > 0.3) * np.int32(1)) for one in [sample(s) for s in range(12)]]
    assert fit_on_held_out(perfect, [""] * 12, predict, options=OPTIONS, copies=False, say=said.append) is None
    assert "validation too small" in said[1]


def test_temperature_acts_as_in_a_softmax():
    logits = np.random.default_rng(0).normal(size=(3, 4, 5))
    soft = np.exp(logits) / np.exp(logits).sum(axis=0)
    cooler = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=0)
    np.testing.assert_allclose(tempered(Maps(soft.astype(np.float32)), 2.0).probabilities, cooler, rtol=1e-5)


def test_copies_are_degraded_as_they_say():
    image = sample(0).image
    assert np.abs(np.diff(degrade(image, "blur", seed=0))).max() < np.abs(np.diff(image)).max()
    assert degrade(image, "noise", seed=0).std() > image.std()
    assert (degrade(image, "saturation", seed=0) == 1).mean() > 0.05 > (image == 1).mean()


def test_objects_that_are_hardly_right_are_marked_and_those_without_a_probability_by_their_confidence():
    confidence = np.array([0.9, 0.9, 0.6])
    assert is_doubtful({"confidence": confidence}).tolist() == [False, False, True]
    assert is_doubtful({"confidence": confidence, "p_right": np.array([0.95, 0.4, 0.8])}).tolist() == [
        False,
        True,
        False,
    ]


def test_a_model_without_trust_record_keeps_no_promise(trust):
    with pytest.raises(InputError, match="judges by pixels alone and keeps no promise"):
        promised(msgspec.structs.replace(header(trust), trust=None), Promise(0.1))
    assert promised(header(trust), None) == header(trust)


@pytest.mark.parametrize("side", [0, 1, 32])
def test_an_image_of_no_object_of_one_and_of_a_thousand_is_judged(trust, side):
    image = np.full((1, 20 * max(side, 2), 20 * max(side, 2)), 0.05, np.float32)
    for place in range(side * side):
        top, left = 20 * (place // side) + 4, 20 * (place % side) + 4
        image[0, top : top + 10, left : left + 10] = 0.95 if place % 2 else 0.6
    (quality, right), labels = judged(trust, image)
    assert labels.max() == quality.count == right.size == side * side
    assert quality.verdict != "accept"
    if not side:
        assert np.isnan(quality.expected_f1)
        assert "nothing found" in quality.why
        return
    assert ((right > 0) & (right < 1)).all()
    assert 0 < quality.expected_f1 < 1
    assert min(quality.expected_count, quality.expected_count_sd) > 0
    brightness = ndimage.mean(image[0], labels, np.arange(1, labels.max() + 1))
    if side > 1:
        assert np.median(right[brightness > 0.8]) > np.median(right[brightness < 0.8])
