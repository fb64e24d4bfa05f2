from __future__ import annotations

import pytest

from cellproof.data.description import Description
from cellproof.recipe import ModelConfig, Recipe, TrainingConfig
from cellproof.workflows.train.costs import measure_costs

DATA = Description("cells", "semantic", ("a", "b", "c"))


def recipe(architecture, **options):
    return Recipe("r", model=ModelConfig(architecture, options), training=TrainingConfig(patch_px=16, batch=1))


@pytest.mark.usefixtures("one_thread")
def test_a_network_on_every_translated_image_costs_what_its_parts_do():
    small = "width=2;depth=2"
    costs = measure_costs(
        {
            "one": recipe("unet", width=2, depth=2),
            "two": recipe("auto_preprocess", first_options=small, second_options=small),
        },
        DATA,
        shape=(31, 30),
        rounds=1,
    )
    one, two = costs["one"], costs["two"]
    # Two networks, a 1 × 1 convolution between 3 maps, and a weight for each of 4 outputs.
    assert two.parameters == 2 * one.parameters + (3 * 3 + 3) + 4
    # The first network once, the second three times, and that convolution, all on 32 × 30 pixels.
    assert two.multiply_adds == 4 * one.multiply_adds + 3 * 3 * 32 * 30
    assert min(one.step_s, one.image_s, two.step_s, two.image_s) > 0
