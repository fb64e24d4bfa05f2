"""Average precision of COCO, with pycocotools as oracle."""

from __future__ import annotations

import contextlib
import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cellproof.checks import InputError
from cellproof.metrics.coco import MOST_DETECTIONS, average_precision, rank
from cellproof.metrics.objects import overlap


def blobs(rng, shape=(40, 50), count=14):
    labels = np.zeros(shape, np.int32)
    rows, columns = np.indices(shape)
    for number in range(1, count + 1):
        row, column, radius = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(2, 6)
        labels[np.hypot(rows - row, columns - column) < radius] = number
    return labels


def moved(rng, labels):
    """The objects a little displaced, some lost, some in two."""
    found = np.roll(labels, rng.integers(-1, 2, 2), (0, 1))
    found[np.isin(found, rng.integers(1, 15, 2))] = 0
    found[(found > 0) & (np.arange(found.shape[1]) > 30)] += 20
    return found


def encoded(mask):
    made = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": made["size"], "counts": made["counts"].decode()}


def oracle(references, predictions, scores, most):
    annotations, results = [], []
    for image, labels in enumerate(references, start=1):
        for value in np.unique(labels[labels > 0]):
            mask = labels == value
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": 1,
                    "iscrowd": 0,
                    "area": int(mask.sum()),
                    "segmentation": encoded(mask),
                }
            )
    for image, (labels, own) in enumerate(zip(predictions, scores, strict=True), start=1):
        for value, score in zip(np.unique(labels[labels > 0]), own, strict=True):
            results.append(
                {
                    "image_id": image,
                    "category_id": 1,
                    "score": float(score),
                    "segmentation": encoded(labels == value),
                    "area": int((labels == value).sum()),
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [
                {"id": i + 1, "height": one.shape[0], "width": one.shape[1]} for i, one in enumerate(references)
            ],
            "categories": [{"id": 1}],
            "annotations": annotations,
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.params.maxDets = [most]
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, 0, 0, 0].mean(axis=1)


@settings(max_examples=12, deadline=None)
@given(integers(0, 2**32), integers(1, 3), integers(3, MOST_DETECTIONS))
def test_it_equals_pycocotools(seed, images, most):
    rng = np.random.default_rng(seed)
    references = [blobs(rng) for _ in range(images)]
    predictions = [moved(rng, labels) for labels in references]
    overlaps = [overlap(p, r) for p, r in zip(predictions, references, strict=True)]
    # Few different scores, so that there are ties.
    scores = [rng.integers(0, 6, len(one.prediction_ids)) / 6 for one in overlaps]
    ours = average_precision([rank(o, s, most_detections=most) for o, s in zip(overlaps, scores, strict=True)])
    np.testing.assert_allclose(ours, oracle(references, predictions, scores, most), atol=1e-12)


def test_a_perfect_prediction_is_one_and_an_empty_one_zero():
    labels = blobs(np.random.default_rng(0))
    same, none = overlap(labels, labels), overlap(np.zeros_like(labels), labels)
    assert average_precision([rank(same, np.ones(len(same.prediction_ids)))]).tolist() == [1.0] * 10
    assert average_precision([rank(none, np.ones(0))]).tolist() == [0.0] * 10


def test_without_a_reference_object_it_is_undefined():
    one = np.ones((2, 2), int)
    assert math.isnan(average_precision([rank(overlap(one, 0 * one), np.ones(1))])[0])


def test_every_object_needs_a_score():
    one = np.ones((2, 2), int)
    with pytest.raises(InputError, match="expected one for each of 1 objects"):
        rank(overlap(one, one), np.ones(2))
