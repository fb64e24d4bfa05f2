from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellproof.training.schedule import learning_rate_factor

KINDS = ["constant", "cosine", "step"]


@pytest.mark.parametrize(
    ("progress", "schedule", "warmup", "expected"),
    [
        (0.0, "cosine", 0.0, 1.0),
        (0.5, "cosine", 0.0, 0.5),
        (1.0, "cosine", 0.0, 0.0),
        (1 / 3, "cosine", 0.0, 0.75),
        (0.0, "cosine", 0.1, 0.0),
        (0.05, "cosine", 0.1, 0.5),
        (0.1, "cosine", 0.1, 1.0),
        (0.55, "cosine", 0.1, 0.5),
        (0.05, "constant", 0.2, 0.25),
        (0.9, "constant", 0.2, 1.0),
        (0.19, "step", 0.0, 1.0),
        (0.2, "step", 0.0, 0.5),
        (0.6, "step", 0.0, 0.125),
        (1.0, "step", 0.0, 0.03125),
    ],
)
def test_the_learning_rate_at_drawn_points(progress, schedule, warmup, expected):
    factor = learning_rate_factor(progress, schedule=schedule, warmup=warmup, drop_every=0.2, drop=0.5)
    assert factor == pytest.approx(expected, abs=1e-12)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.9), st.sampled_from(KINDS))
@settings(max_examples=60, deadline=None)
def test_the_learning_rate_rises_while_warming_up_and_never_after(first, second, warmup, schedule):
    early, late = sorted((first, second))
    rates = [learning_rate_factor(progress, schedule=schedule, warmup=warmup) for progress in (early, late)]
    assert all(0 <= rate <= 1 for rate in rates)
    if late < warmup:
        assert rates[0] <= rates[1]
    if early >= warmup:
        assert rates[0] >= rates[1]
