"""Entries that score the mean over views."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.workflows.evaluate import ClassNames, Predicted, Reference
from cellproof.workflows.reproduce.cells import cell_fingerprint
from cellproof.workflows.reproduce.predictions import of_views


def predicted(**more: np.ndarray) -> Predicted:
    first, views = np.zeros((2, 1, 3), np.float32), np.zeros((2, 1, 3), np.float32)
    first[0], views[1] = 1, 1
    return Predicted(
        name="a",
        image=np.zeros((1, 1, 3)),
        reference=Reference(np.zeros((1, 3), int), ClassNames(("gland",), has_objects=True)),
        labels=np.array([[1, 0, 0]]),
        classes=np.zeros((1, 3), np.uint8),
        probabilities=first,
        views=views,
        tta=np.zeros((1, 3)),
        **more,
    )


def test_views_take_the_place_of_labels_classes_and_probabilities():
    one = of_views(predicted(view_labels=np.array([[0, 2, 2]])))
    assert one.labels.tolist() == [[0, 2, 2]]
    assert one.classes.tolist() == [[1, 1, 1]]
    assert one.probabilities[1].tolist() == [[1, 1, 1]]


def test_an_ensemble_without_objects_of_its_views_is_refused():
    with pytest.raises(InputError, match="leave tta out"):
        of_views(predicted())


def test_scores_of_views_and_of_splits_apart_have_fingerprints_of_their_own():
    def fingerprint(**more: bool) -> str:
        return cell_fingerprint(["t"], test=[], protocols={}, steps=[], note="n", **more)

    usual = fingerprint()
    assert fingerprint(tta=False, pool=True) == usual
    assert len({usual, fingerprint(tta=True), fingerprint(pool=False)}) == 3
