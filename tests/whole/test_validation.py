"""Scores and tuning on maps that are drawn, so that the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cellproof.data.targets import flow_field, heads_of, poisson_height
from cellproof.inference.activate import Maps
from cellproof.recipe.sections import TrainingConfig
from cellproof.recipe.study import Recipe
from cellproof.types import IGNORE, Heads, InstanceOptions, Sample
from cellproof.workflows.predict.predictor import Predictor
from cellproof.workflows.train.tune import calibrate, tune, tune_instances
from cellproof.workflows.train.validate import Validator, limited, measure

ALL_HEADS = heads_of(2, ["boundary", "distance", "flows"])


def two_touching_squares() -> np.ndarray:
    labels = np.zeros((40, 60), np.int32)
    labels[10:30, 10:30] = 1
    labels[10:30, 30:50] = 2
    return labels


def sample_of(labels: np.ndarray) -> Sample:
    return Sample(np.zeros((1, *labels.shape), np.float32), (labels > 0).astype(np.uint8), labels)


def perfect_maps(labels: np.ndarray, *, confidence: float = 0.9) -> Maps:
    foreground = np.where(labels > 0, confidence, 1 - confidence).astype(np.float32)
    height = poisson_height(labels)
    return Maps(
        np.stack([1 - foreground, foreground]),
        {
            "boundary": np.zeros((1, *labels.shape), np.float32),
            "distance": height[None],
            "flows": flow_field(height, labels),
        },
    )


def test_perfect_maps_score_one_everywhere():
    labels = two_touching_squares()
    scores = measure([sample_of(labels)], [perfect_maps(labels)], heads=ALL_HEADS, options=InstanceOptions())
    assert scores == {"map": 1, "ap50": 1, "ap75": 1, "ap90": 1, "dice": 1}


def test_merged_objects_cost_precision_but_not_dice():
    labels = two_touching_squares()
    scores = measure(
        [sample_of(labels)],
        [perfect_maps(labels)],
        heads=ALL_HEADS,
        options=InstanceOptions(method="components"),
    )
    # One object of twice the area: IoU 0.5 with either square, so one hit, no false, one miss at 0.5 only.
    assert scores["ap50"] == pytest.approx(0.5)
    assert scores["ap75"] == 0
    assert scores["dice"] == 1


def test_pixels_without_annotation_do_not_count():
    labels = two_touching_squares()
    sample = sample_of(labels)
    class_map = sample.class_map.copy()
    class_map[:, 30:] = IGNORE
    half = Sample(sample.image, class_map, np.where(class_map == IGNORE, 0, labels).astype(np.int32))
    scores = measure([half], [perfect_maps(labels)], heads=ALL_HEADS, options=InstanceOptions())
    assert scores["ap90"] == 1
    assert scores["dice"] == 1


def test_semantic_scores_are_means_over_classes():
    class_map = np.array([[0, 0, 1, 1]], np.uint8)
    probabilities = np.eye(2, dtype=np.float32)[np.array([[0, 1, 1, 1]])].transpose(2, 0, 1)
    scores = measure(
        [Sample(np.zeros((1, 1, 4), np.float32), class_map)],
        [Maps(probabilities)],
        heads=Heads(2),
        options=InstanceOptions(),
    )
    assert scores["iou_0"] == pytest.approx(1 / 2)
    assert scores["iou_1"] == pytest.approx(2 / 3)
    assert scores["mean_iou"] == pytest.approx(7 / 12)
    assert scores["accuracy"] == 0.75


def test_tuning_finds_the_threshold_that_the_maps_ask_for():
    labels = two_touching_squares()
    foreground = np.where(labels > 0, 0.45, 0.05).astype(np.float32)
    maps = perfect_maps(labels)
    shy = Maps(
        np.stack([1 - foreground, foreground]),
        maps.fields,
    )
    options = tune_instances([sample_of(labels)], [shy], InstanceOptions(), ALL_HEADS)
    assert options.foreground_threshold <= 0.45
    assert measure([sample_of(labels)], [shy], heads=ALL_HEADS, options=options)["map"] == 1


def test_temperature_cools_modest_probabilities_that_are_always_right():
    labels = two_touching_squares()
    temperature = calibrate([sample_of(labels)], [perfect_maps(labels, confidence=0.7)])
    assert temperature < 0.7


def test_samples_are_limited_in_size_and_number_but_never_none():
    samples = [sample_of(np.ones((2000, 30), np.int32)), sample_of(np.ones((20, 20), np.int32))]
    kept = limited(samples, most_pixels=1)
    assert [s.class_map.shape for s in kept] == [(1024, 30)]
    assert [s.class_map.shape for s in limited(samples, most_pixels=10**6)] == [(1024, 30), (20, 20)]


class Threshold(nn.Module):
    """Class 1 where the first channel is above a half."""

    stride = 1
    receptive_field_px = 0

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(20.0))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logit = self.gain * (image[:, :1] - 0.5)
        return torch.cat([-logit, logit], dim=1)


def test_members_are_scored_on_what_was_held_out_from_them():
    class_map = np.zeros((16, 16), np.uint8)
    class_map[4:12, 4:12] = 1
    sample = Sample(class_map[None].astype(np.float32), class_map)
    wrong = {"gain": torch.tensor(-20.0)}
    right = {"gain": torch.tensor(20.0)}
    recipe = Recipe(name="drawn", training=TrainingConfig(validation_pixels=10**6))
    tuned = tune(
        [right, wrong],
        [[sample], [sample]],
        recipe=recipe,
        heads=Heads(2),
        module=Threshold(),
        groups=[["bright"], ["dark"]],
        most_pixels=10**6,
    )
    assert tuned.metrics["bright/mean_iou"] == 1
    assert tuned.metrics["dark/mean_iou"] == 0
    assert 0 < tuned.metrics["mean_iou"] < 1


def test_the_temperature_is_the_likeliest_of_predictions_as_segment_makes_them():
    """One view, the member that the image was held out from, windows and all."""
    rng = np.random.default_rng(0)
    image = rng.uniform(0.3, 0.7, (1, 160, 160)).astype(np.float32)
    # Right logits are ±3 (x - 0.5); the network's are ±20 (x - 0.5).
    class_map = (rng.random((160, 160)) < 1 / (1 + np.exp(-6 * (image[0] - 0.5)))).astype(np.uint8)
    sample = Sample(image, class_map)
    tuned = tune(
        [Threshold().state_dict()],
        [[sample]],
        recipe=Recipe(name="drawn"),
        heads=Heads(2),
        module=Threshold(),
        groups=[[""]],
        most_pixels=10**6,
    )

    def loss(temperature: float) -> float:
        predictor = Predictor.of_module(Threshold(), heads=Heads(2), in_channels=1, temperature=temperature)
        probabilities = predictor.predict_sample(sample).probabilities
        return float(-np.log(np.take_along_axis(probabilities, class_map[None].astype(int), axis=0)).mean())

    assert tuned.temperature == pytest.approx(20 / 3, rel=0.1)
    assert loss(tuned.temperature) < min(loss(tuned.temperature * 1.05), loss(tuned.temperature / 1.05))


class NotANumber(Threshold):
    """The second of two views of the world has no answer."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return super().forward(image) * torch.where(image.mean() > 0.5, torch.nan, 1.0)


def test_outputs_that_are_no_numbers_stop_a_validation_and_say_of_how_many_images():
    dark, bright = (Sample(np.full((1, 8, 8), v, np.float32), np.zeros((8, 8), np.uint8)) for v in (0.1, 0.9))
    validator = Validator(
        [dark, bright, bright], heads=Heads(2), in_channels=1, options=InstanceOptions(), most_pixels=10**6
    )
    validator.samples = [dark]
    assert validator(NotANumber())[1]["accuracy"] == 1
    validator.samples = [dark, bright, bright]
    with pytest.raises(FloatingPointError, match="no numbers on 2 of the 3 held-out images; lower the learning rate"):
        validator(NotANumber())


def test_prediction_repeats_a_gray_sample_for_a_color_network():
    sample = sample_of(two_touching_squares())
    gray = Sample((sample.class_map[None] > 0).astype(np.float32), sample.class_map)
    maps = Predictor.of_module(Threshold(), heads=Heads(2), in_channels=3).predict(gray.image, scale=1.0)
    np.testing.assert_array_equal(maps.probabilities.argmax(axis=0), sample.class_map)


def test_validation_computes_in_the_precision_of_the_training():
    engines = Predictor.of_module(Threshold(), heads=Heads(2), in_channels=3, precision="f32").engines
    assert [engine.precision for engine in engines] == ["f32"]
