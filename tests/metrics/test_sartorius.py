"""The score of the Sartorius competition on examples worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cellproof.metrics.objects import overlap
from cellproof.metrics.sartorius import image_score, mean_score, precision_at


def row(*ids):
    return np.array([ids])


def test_a_worked_example():
    # Three cells of 10 pixels. The first is found whole (IoU 1), of the second 8 pixels (IoU 0.8), of the third none;
    # one prediction lies beside them.
    reference = row(*[1] * 10, *[2] * 10, *[3] * 10, *[0] * 5)
    prediction = row(*[1] * 10, *[2] * 8, 0, 0, *[0] * 10, *[3] * 5)
    found = overlap(prediction, reference)
    # Up to 0.75 two pairs are right, one cell is missed and one found in vain: 2 / (2 + 1 + 1). From 0.8 on, which 0.8
    # is not above, one pair: 1 / (1 + 2 + 2).
    assert [precision_at(found, t) for t in (0.5, 0.75, 0.8, 0.95)] == [0.5, 0.5, 0.2, 0.2]
    assert image_score(found) == pytest.approx((6 * 0.5 + 4 * 0.2) / 10)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [((1, 1), (0, 0), 0.0), ((0, 0), (1, 1), 0.0), ((2, 2), (1, 1), 1.0)],
)
def test_degenerate_images(prediction, reference, expected):
    assert image_score(overlap(row(*prediction), row(*reference))) == expected


def test_an_image_without_any_object_is_left_out_of_the_mean():
    assert math.isnan(image_score(overlap(row(0, 0), row(0, 0))))
    assert mean_score([math.nan, 0.25, 0.75]) == 0.5
    assert math.isnan(mean_score([]))
