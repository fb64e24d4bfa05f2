"""What is said of a model at the end of its training run."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.data.targets import heads_of
from cellproof.training.history import HistoryRow
from cellproof.types import IGNORE, Heads, Sample
from cellproof.workflows.train.verdict import judge, trivial_score


def rows(**scores: float) -> list[HistoryRow]:
    """One row per validation, named ``s5=0.2`` for step 5."""
    return [HistoryRow(int(name[1:]), 1.0, 1e-3, 1.0, score, {}) for name, score in scores.items()]


RESTING = rows(s10=0.5, s20=0.7, s30=0.71, s40=0.72)
RISING = rows(s10=0.1, s20=0.2, s30=0.3, s40=0.4)


def test_a_good_model_gets_no_word():
    assert judge([RESTING], {"ap50": 0.72}, baseline=(0.4, "x"), has_instances=True) == ()


def test_a_score_that_still_rises_is_called_undertrained_with_both_numbers():
    (sentence,) = judge([RESTING, RISING], {"mean_iou": 0.5}, baseline=(0.3, "x"), has_instances=False)
    assert sentence.startswith("undertrained: the score was still rising at the end (0.300 to 0.400)")


def test_too_few_validations_are_said():
    (sentence,) = judge([rows(s1=0.6)], {"ap50": 0.6}, baseline=(0.3, "x"), has_instances=True)
    assert sentence.startswith("undertrained: a single step is too few to see the score come to rest")
    (sentence,) = judge([rows(s1=0.6, s2=0.6)], {"ap50": 0.6}, baseline=(0.3, "x"), has_instances=True)
    assert "2 steps, of which 2 were validated, are too few" in sentence


@pytest.mark.parametrize("score", [0.144, float("nan")])
def test_a_model_worse_than_the_baseline_is_called_that(score):
    (sentence,) = judge([RESTING], {"mean_iou": score}, baseline=(0.45, "guessing"), has_instances=False)
    assert sentence.startswith(f"the model is worse than guessing: mean IoU {score:.3f} against 0.450")


def test_the_baseline_of_classes_is_the_most_frequent_one_everywhere():
    class_map = np.zeros((10, 10), np.uint8)
    class_map[:, 8:] = 1
    class_map[0] = IGNORE
    score, how = trivial_score([Sample(np.zeros((1, 10, 10), np.float32), class_map)], heads=Heads(classes=2))
    assert score == pytest.approx(0.8 / 2)
    assert "most frequent class" in how


@pytest.mark.parametrize("sign", [1, -1])
def test_the_baseline_of_objects_finds_bright_and_dark_squares(sign):
    labels = np.zeros((40, 40), np.int32)
    labels[4:14, 4:14], labels[20:34, 20:34] = 1, 2
    image = (0.5 + sign * 0.4 * (labels > 0)).astype(np.float32)[None]
    sample = Sample(image, (labels > 0).astype(np.uint8), labels)
    score, _ = trivial_score([sample], heads=heads_of(2, ["boundary"]))
    assert score == 1.0


def test_the_baseline_of_a_flat_image_is_nothing():
    labels = np.zeros((12, 12), np.int32)
    labels[4:8, 4:8] = 1
    sample = Sample(np.zeros((1, 12, 12), np.float32), (labels > 0).astype(np.uint8), labels)
    assert trivial_score([sample], heads=heads_of(2, ["boundary"]))[0] == 0.0
