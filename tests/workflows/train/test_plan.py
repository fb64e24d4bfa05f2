"""Plans follow from facts: drawn samples with known sizes, shares and neighbors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cellproof.data.description import Description
from cellproof.types import IGNORE, Sample
from cellproof.workflows.train.plan import WORKING_DIAMETER_PX, plan
from cellproof.workflows.train.survey import Survey, survey

OBJECTS = Description("cells", "instances", ("cell",))
REGIONS = Description("regions", "semantic", ("background", "membrane"))
FACTS = Survey(images=12, channels=1, side_px=512, diameters_px=(12, 20, 30))


def discs(*, diameter_px: int, count: int, gap_px: int) -> np.ndarray:
    """A row of discs, each an object of its own."""
    pitch = diameter_px + gap_px
    rows, columns = np.mgrid[:pitch, : pitch * count]
    labels = np.zeros(rows.shape, np.int32)
    for number in range(count):
        center = number * pitch + pitch // 2
        labels[(rows - pitch // 2) ** 2 + (columns - center) ** 2 <= (diameter_px / 2) ** 2] = number + 1
    return labels


def sample_of(labels: np.ndarray, *, channels: int = 1) -> Sample:
    class_map = (labels > 0).astype(np.uint8)
    return Sample(np.repeat(class_map[None].astype(np.float32), channels, axis=0), class_map, labels)


def planned(facts: Survey, description: Description = OBJECTS, *, seconds: float | None = 1200.0, model: str = ""):
    return plan(facts, description, seconds=seconds, device="cpu", default_model=model)


def test_survey_measures_diameters_and_shares_of_drawn_discs():
    facts = survey([sample_of(discs(diameter_px=20, count=5, gap_px=10), channels=3)], images=7, classes=2)
    assert facts.images == 7
    assert facts.channels == 3
    assert facts.diameters_px[1] == pytest.approx(20, rel=0.03)
    assert facts.touching == 0
    assert facts.class_shares[1] == pytest.approx(np.pi * 100 / 900, rel=0.03)


def test_survey_counts_objects_that_share_an_edge():
    labels = np.array([[1, 1, 2, 2, 0, 3]], np.int32)
    assert survey([sample_of(labels)], images=1, classes=2).touching == pytest.approx(2 / 3)


def test_survey_leaves_out_what_nobody_annotated():
    class_map = np.array([[0, 1, IGNORE, IGNORE]], np.uint8)
    facts = survey([Sample(np.zeros((1, 1, 4), np.float32), class_map)], images=1, classes=2)
    assert facts.class_shares == (0.5, 0.5)


@pytest.mark.parametrize(("diameter_px", "scale"), [(20, 1.0), (100, 0.375), (320, 0.125), (4, 2.0), (64, 1.0)])
def test_large_and_small_objects_are_brought_to_the_working_size(diameter_px, scale):
    recipe, reasons = planned(replace(FACTS, diameters_px=(diameter_px, diameter_px, diameter_px)))
    assert recipe.data.scale == scale
    if scale < 1:
        assert diameter_px * scale == pytest.approx(WORKING_DIAMETER_PX, rel=0.3)
    assert any("scale" in reason for reason in reasons)


def test_time_decides_the_number_of_steps_and_of_validated_pixels():
    short, _ = planned(FACTS, seconds=240.0)
    long, _ = planned(FACTS, seconds=2400.0)
    assert long.training.steps == pytest.approx(10 * short.training.steps, rel=0.02)
    assert long.training.validation_pixels > short.training.validation_pixels


def test_few_images_and_much_time_give_folds():
    assert planned(FACTS, seconds=3 * 3600)[0].folds == 3
    assert planned(FACTS, seconds=600)[0].folds == 1
    assert planned(replace(FACTS, images=200), seconds=3 * 3600)[0].folds == 1


def test_semantic_masks_have_no_object_heads_and_rare_classes_weigh_more():
    facts = replace(FACTS, diameters_px=(), class_shares=(0.95, 0.05))
    recipe, _ = planned(facts, REGIONS)
    assert recipe.heads == ()
    assert recipe.loss.balance_classes > 0
    assert planned(replace(facts, class_shares=(0.6, 0.4)), REGIONS)[0].loss.balance_classes == 0


def test_color_is_augmented_only_where_there_is_color():
    assert planned(FACTS)[0].augment.color == 0
    assert planned(replace(FACTS, channels=3))[0].augment.color > 0


def test_cut_outs_of_single_cells_are_brought_to_one_side():
    facts = replace(FACTS, side_px=120, diameters_px=(), class_shares=(0.6, 0.4))
    assert planned(facts, REGIONS)[0].data.fit_side_px == 120
    assert planned(replace(facts, side_px=512), REGIONS)[0].data.fit_side_px == 0


def test_objects_of_foreign_magnification_are_fitted_only_where_there_are_objects():
    assert planned(FACTS)[0].data.fit_objects
    facts = replace(FACTS, diameters_px=(), class_shares=(0.6, 0.4))
    assert not planned(facts, REGIONS)[0].data.fit_objects


def test_start_weights_set_the_number_of_channels_they_read():
    assert planned(FACTS)[0].data.in_channels == 1
    recipe, _ = planned(FACTS, model="nuclei")
    assert recipe.data.in_channels == 3
    assert recipe.model.init == "nuclei"


def test_start_weights_set_the_network_that_they_fit():
    assert planned(FACTS)[0].model.architecture == "unet"
    model = planned(FACTS, model="nuclei")[0].model
    assert (model.architecture, model.options["width"]) == ("effnet_unet", 72)


def test_every_plan_says_what_it_does_in_sentences_of_its_own():
    _, reasons = planned(FACTS)
    assert len(reasons) == len(set(reasons)) >= 6
    assert "12 images" in reasons[0]
    assert "20 px" in reasons[0]
