"""`cellproof.augment.intensity`: the contract of every step, and the chain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from cellproof.augment.color import ChannelJitter, Grayscale, Hue, Saturation
from cellproof.augment.intensity import Intensity
from cellproof.augment.noise import Blur, GaussianNoise, Sharpen, ShotNoise
from cellproof.augment.tone import Contrast, Gamma, Illumination, Inversion
from cellproof.checks import InputError
from cellproof.types import Sample

STEPS = [
    Gamma(),
    Contrast(),
    Inversion(),
    Illumination(),
    GaussianNoise(),
    ShotNoise(),
    Blur(),
    Sharpen(),
    ChannelJitter(),
    Hue(),
    Saturation(),
    Grayscale(),
]
EVERY_STEP = pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)


def picture(shape=(3, 21, 34), seed=0):
    rng = np.random.default_rng(seed)
    image = rng.uniform(-0.2, 1.3, shape).astype(np.float32)
    labels = rng.integers(0, 3, shape[1:])
    return Sample(image, labels.astype(np.uint8), labels.astype(np.int32))


@EVERY_STEP
def test_every_step_changes_the_image_and_leaves_the_labels_alone(step):
    sample = picture()
    kept = sample.image.copy()
    changed = step.apply(sample, step.draw(np.random.default_rng(0), sample))
    assert changed.class_map is sample.class_map
    assert changed.instances is sample.instances
    assert changed.image.dtype == np.float32
    assert changed.image.shape == sample.image.shape
    assert np.isfinite(changed.image).all()
    assert not np.array_equal(changed.image, kept)
    np.testing.assert_array_equal(sample.image, kept)


@EVERY_STEP
def test_every_step_can_be_replayed(step):
    sample = picture()
    params = step.draw(np.random.default_rng(5), sample)
    again = step.draw(np.random.default_rng(5), sample)
    first = step.apply(sample, params).image
    np.testing.assert_array_equal(first, step.apply(sample, params).image)
    np.testing.assert_array_equal(first, step.apply(sample, again).image)


@EVERY_STEP
def test_every_step_is_mild_by_default(step):
    sample = picture((3, 64, 64))
    smooth = Blur().apply(sample, 3.0)
    changed = step.apply(smooth, step.draw(np.random.default_rng(0), smooth)).image
    assert np.abs(changed - smooth.image).mean() < (1.1 if isinstance(step, Inversion) else 0.2)


@dataclass(frozen=True)
class Add:
    """Adds a number; stands in for any step."""

    number: float
    p: float = 1.0

    def draw(self, rng, sample):
        return rng.integers(1, 3)

    def apply(self, sample, params):
        return replace(sample, image=(sample.image + self.number) * params)


def test_steps_act_in_their_order():
    sample = Sample(np.zeros((1, 1, 1), np.float32), np.zeros((1, 1), np.uint8))
    chain = Intensity((Add(1.0), Add(10.0)))
    params = chain.draw(np.random.default_rng(0), sample)
    first, second = (drawn.params for drawn in params.drawn)
    assert chain.apply(sample, params).image.item() == (1 * first + 10) * second


def test_a_step_happens_as_often_as_its_probability_says():
    sample = picture((1, 2, 2))
    chain = Intensity((Add(1.0, p=0.0), Add(1.0, p=0.25), Add(1.0, p=1.0)))
    rng = np.random.default_rng(0)
    drawn = [[one.step for one in chain.draw(rng, sample).drawn] for _ in range(2000)]
    assert all(2 in steps and 0 not in steps for steps in drawn)
    assert np.mean([1 in steps for steps in drawn]) == pytest.approx(0.25, abs=0.03)


def test_a_chain_without_steps_returns_the_sample_itself():
    sample = picture()
    chain = Intensity()
    assert chain.apply(sample, chain.draw(np.random.default_rng(0), sample)) is sample


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_probabilities_out_of_range_are_refused(p):
    with pytest.raises(InputError, match="expected a probability"):
        Intensity((Gamma(p=p),))
