"""Steps are planned from a measured speed."""

from __future__ import annotations

import pytest

from cellproof.recipe import Recipe
from cellproof.workflows.train.speed import average_decay, fit_steps, pace


@pytest.mark.parametrize(("step_s", "steps"), [(0.5, 204), (0.05, 2040), (5.0, 20)])
def test_as_many_steps_as_fit_are_planned_and_said(step_s, steps):
    recipe, reason = fit_steps(Recipe("cells"), step_s=step_s, seconds=120)
    assert recipe.training.steps == steps
    assert recipe.training.validate_every == max(5, steps // 12)
    assert reason.startswith(f"about {steps} steps fit the time, at {step_s:.2g} s per step as measured here")
    assert ("give more time" in reason) == (steps < 100)


def test_the_average_of_a_short_run_forgets_its_start():
    for steps in (20, 99, 400, 1500, 8000):
        assert average_decay(steps) ** steps < 0.02


@pytest.mark.parametrize(
    ("step", "seconds", "said"),
    [(2, 16.0, "at this pace 14 of 212 steps fit the time"), (20, 10.0, ""), (2, 1.2, "")],
)
def test_a_slow_run_says_at_which_pace_it_goes(step, seconds, said):
    assert pace(step, seconds, planned=212, limit_s=112.0) == said
