"""What `segment` expects of images stands beside what they are, and how far the two are apart is told."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cellproof.io import write_csv
from cellproof.io.png import write_png
from cellproof.workflows.evaluate import score_folders, write_evaluation
from cellproof.workflows.evaluate.images import expected_against_true, image_columns


@pytest.fixture
def folders(tmp_path):
    """Predictions of two images, one of them right and one by half, of classes of pixels."""
    reference, predictions = tmp_path / "reference", tmp_path / "predictions"
    reference.mkdir()
    predictions.mkdir()
    truth = np.zeros((8, 8), np.uint8)
    truth[:, :4] = 1
    half = truth.copy()
    half[:, 2:4] = 0
    for name, said in (("a", truth), ("b", half)):
        write_png(reference / f"{name}.png", truth)
        write_png(predictions / f"{name}.png", said)
    (tmp_path / "reference" / "dataset.toml").write_text(
        'name = "halves"\nmasks = "semantic"\nclasses = ["ground", "cell"]\n', encoding="utf-8"
    )
    return predictions, reference


def test_expected_iou_of_each_class_stands_beside_the_true_one(folders):
    predictions, reference = folders
    table = {"image": ["a", "b"], "expected_iou_ground": [0.95, 0.8], "expected_iou_cell": [0.9, 0.6]}
    write_csv(predictions / "images.csv", table)
    scores = score_folders(predictions, reference, protocol="pixel")
    found = image_columns(scores, predictions)
    assert found["IoU cell"] == [1.0, 0.5]
    assert found["expected IoU cell"] == [0.9, 0.6]
    assert found["expected IoU ground"] == [0.95, 0.8]
    assert "expected Dice cell" not in found
    said = write_evaluation(scores, predictions, reference)
    assert said[1] == "expected IoU cell 0.750, true 0.750: off by 0.100 on average, rank correlation 1.00 (2 images)"


def test_predictions_of_others_expect_nothing(folders):
    predictions, reference = folders
    assert write_evaluation(score_folders(predictions, reference, protocol="pixel"), predictions, reference) == []


def test_ranks_agree_as_scipy_says_and_equal_values_have_none():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(5)
    expected, true = rng.random(20).tolist(), [*rng.random(18).round(1).tolist(), None, math.nan]
    (found,) = expected_against_true({"F1 0.5": true, "expected F1 0.5": expected})
    assert found.images == 18
    assert found.rank_correlation == pytest.approx(spearmanr(expected[:18], true[:18]).statistic)
    assert found.off == pytest.approx(np.abs(np.subtract(expected[:18], true[:18])).mean())
    (flat,) = expected_against_true({"F1 0.5": [0.5, 0.7], "expected F1 0.5": [0.8, 0.8]})
    assert math.isnan(flat.rank_correlation)
    assert "rank" not in str(flat)
