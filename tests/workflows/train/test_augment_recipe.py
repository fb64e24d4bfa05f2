"""A recipe's words become the steps of an augmentation."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.augment.noise import GaussianNoise, MedianSharpen
from cellproof.augment.stain import StainJitter
from cellproof.checks import InputError
from cellproof.recipe import parse_recipe
from cellproof.types import Sample
from cellproof.workflows.train.augment import augmentation

GLANDS = """
name = "glands"
[augment]
exact = 0.0
rotate_degrees = 90
rotate_probability = 0.5
scale = [1.3333333333, 1.3333333333]
scale_probability = 0.5
probability = 0.0
steps = [
    { name = "gaussian_noise", options = { p = 0.2, smallest_sd = 0.01, largest_sd = 0.03 } },
    { name = "median_sharpen", options = { p = 0.2 } },
    { name = "stain", options = { p = 0.5 } },
]
"""


def test_named_steps_act_with_their_own_probabilities():
    recipe = parse_recipe(GLANDS)
    made = augmentation(recipe.augment, patch_px=16, channels=3, exact=False)
    added = made.intensity.steps[-3:]
    assert [type(step) for step in added] == [GaussianNoise, MedianSharpen, StainJitter]
    sample = Sample(np.full((3, 32, 32), 0.5, np.float32), np.zeros((32, 32), np.uint8))
    rng = np.random.default_rng(0)
    drawn = [made.draw(rng, sample) for _ in range(600)]
    last = len(made.intensity.steps)
    often = np.bincount([one.step for many in drawn for one in many.intensity.drawn], minlength=last) / 600
    np.testing.assert_allclose(often[-3:], [0.2, 0.2, 0.5], atol=0.05)
    assert not often[:-3].any()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("median_sharpen", "solarize", "no augmentation step 'solarize'; there: gaussian_noise, median_sharpen, stain"),
        ("smallest_sd", "sd", "has no option 'sd'"),
    ],
)
def test_other_names_are_refused(old, new, message):
    recipe = parse_recipe(GLANDS.replace(old, new))
    with pytest.raises(InputError, match=message):
        augmentation(recipe.augment, patch_px=16, channels=3, exact=False)
