"""The protocol of instances: the competition's mean over images, and COCO's ranking by foreground probability."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.types import IGNORE
from cellproof.workflows.evaluate.protocol import ClassNames, NoOptions, Predicted, Reference, Variant
from cellproof.workflows.evaluate.protocols import sartorius

NAMES = ClassNames(("cell",), has_objects=True, ignore=IGNORE)


def predicted(labels, reference, foreground) -> tuple[Variant, Reference]:
    truth, values = Reference(np.array([reference]), NAMES), np.array([labels])
    probabilities = np.stack([1 - np.array([foreground]), np.array([foreground])])
    source = Predicted("a", values, truth, values, values > 0, probabilities, probabilities, 0 * values)
    return Variant("", values, source), truth


def values(*images) -> dict[tuple[str, str], float]:
    counts = [sartorius.count(variant, truth, NoOptions()) for variant, truth in images]
    rows = sartorius.rows(counts, NAMES, NoOptions())
    return {(row.metric, row.class_or_threshold): row.value for row in rows if row.averaging == "pooled"}


def test_images_count_alike_however_many_cells_they_show():
    right = predicted([1, 0, 2, 0, 3, 0], [1, 0, 2, 0, 3, 0], [0.9] * 6)
    wrong = predicted([0, 0, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0], [0.9] * 6)
    found = values(right, wrong)
    assert found["mAP (Sartorius)", sartorius.OVER] == 0.5
    assert found["precision (Sartorius)", "0.5"] == 0.5


@pytest.mark.parametrize(("sure", "expected"), [((0.9, 0.6), 1.0), ((0.6, 0.9), 0.5)])
def test_coco_ranks_objects_by_their_mean_foreground_probability(sure, expected):
    # Object 1 is right and object 2 is nothing: precision at every recall is 1 if the right one ranks first, else 1/2.
    foreground = [sure[0], sure[0], 0.1, sure[1], sure[1]]
    found = values(predicted([1, 1, 0, 2, 2], [7, 7, 0, 0, 0], foreground))
    assert found["AP (COCO)", sartorius.OVER] == pytest.approx(expected)


def test_objects_without_annotation_are_neither_right_nor_wrong():
    found = values(predicted([1, 1, 0, 2, 2], [7, 7, 0, IGNORE, IGNORE], [0.5, 0.5, 0, 0.9, 0.9]))
    assert found["mAP (Sartorius)", sartorius.OVER] == 1.0
    assert found["AP (COCO)", sartorius.OVER] == 1.0


def test_without_a_prediction_everything_is_missed():
    truth = Reference(np.array([[1, 0, 2]]), NAMES)
    rows = sartorius.rows([sartorius.count(None, truth, NoOptions())], NAMES, NoOptions())
    assert {row.value for row in rows} == {0.0}
