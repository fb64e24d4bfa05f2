"""Bootstrap intervals: where they lie, that they are replayable, and where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cellproof.metrics.bootstrap import bootstrap_interval


def share(counts: np.ndarray) -> float:
    return counts[0] / counts[1] if counts[1] else math.nan


def interval(counts: np.ndarray, seed: int = 0) -> tuple[float, float]:
    return bootstrap_interval(counts, share, rng=np.random.default_rng(seed))


def test_equal_images_leave_no_doubt() -> None:
    assert interval(np.tile([3, 4], (20, 1))) == (0.75, 0.75)


def test_the_interval_holds_the_score_and_its_width_is_that_of_the_standard_error() -> None:
    rng = np.random.default_rng(1)
    counts = np.stack([rng.binomial(50, 0.6, 400), np.full(400, 50)], axis=1)
    low, high = interval(counts)
    score, error = share(counts.sum(axis=0)), (counts[:, 0] / 50).std() / math.sqrt(400)
    assert low < score < high
    # 1000 draws know a 95 % interval to about a tenth of its width.
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    counts = np.array([[1, 4], [3, 4], [2, 4], [4, 4], [0, 4]])
    assert interval(counts, 3) == interval(counts, 3)
    wide = np.random.default_rng(0).integers(1, 10**6, (30, 2))
    assert interval(wide, 3) != interval(wide, 4)


def test_draws_without_an_answer_are_left_out() -> None:
    # Half of the images are empty: a draw of only those has no score.
    assert interval(np.array([[2, 4], [0, 0]] * 3)) == (0.5, 0.5)


@pytest.mark.parametrize("counts", [np.zeros((0, 2)), np.ones((1, 2)), np.ones((4, 2)), np.zeros((5, 2))])
def test_without_five_images_or_any_score_there_is_no_interval(counts: np.ndarray) -> None:
    assert all(math.isnan(end) for end in interval(counts))
