"""The rules by which a reproduction chooses: with what, within which limit, on which evidence."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from cellproof.workflows.reproduce.membranes import NOTHING_CLOSED, Predicted, Repaired, Roles, choose

from cellproof.recipe.study import PaperSet, RepairConfig
from cellproof.workflows.reproduce import run

ROLES = Roles(connected=1, rest=0, compact=None, classes=("cell", "membrane"), tolerance_px=2.0)
GAP = (slice(29, 32), slice(56, 64))


def picture(probability: np.ndarray, *, reference_gap: bool = False) -> Predicted:
    """What a network said of a wall between two cells, which the reference has with or without a gap."""
    reference = np.zeros((60, 120), np.uint8)
    reference[29:32] = 1
    if reference_gap:
        reference[GAP] = 0
    probabilities = np.stack([1 - probability, probability])
    return Predicted("wall", probability[None], reference, probabilities, probabilities, np.zeros_like(probability))


def wall(*, gap: float, faint_lines: int = 0) -> np.ndarray:
    """Membrane probability of a wall with a faint gap, and of lines near the corners where no membrane is."""
    probability = np.full((60, 120), 0.02, np.float32)
    probability[29:32] = 0.95
    probability[GAP] = gap
    for rows, column in [(slice(0, 29), 8), (slice(32, 60), 8), (slice(0, 29), 111), (slice(32, 60), 111)][
        :faint_lines
    ]:
        probability[rows, column - 1 : column + 2] = 0.45
    return probability


def test_more_false_closings_than_allowed_are_not_bought_with_a_lower_rand_error():
    repair = RepairConfig(smallest_region=0.001)
    # The lines are stronger than the gap: who closes it closes four false ones, and yet enclosed cells gain by it.
    faulty = [picture(wall(gap=0.04, faint_lines=4))]
    assert choose(faulty, ROLES, repair).threshold == NOTHING_CLOSED
    assert choose(faulty, ROLES, replace_most_false(repair, 1.0)).threshold < 0.4
    assert choose([picture(wall(gap=0.04))], ROLES, repair).threshold < 0.4


def replace_most_false(repair: RepairConfig, most_false: float) -> RepairConfig:
    return RepairConfig(smallest_region=repair.smallest_region, most_false=most_false)


@pytest.mark.parametrize("seen_by_views", [True, False])
def test_the_evidence_of_a_gap_is_that_of_all_views_and_not_of_the_picture_as_it_came(seen_by_views):
    faint, nothing = picture(wall(gap=0.4)), picture(wall(gap=0.02))
    once, views = (nothing, faint) if seen_by_views else (faint, nothing)
    said = replace(once, views=views.probabilities)
    closed = Repaired(said, ROLES, RepairConfig(), 0).classes("reconnect", threshold=0.2)
    # The wall's own width is drawn; one row of it at least.
    assert bool((closed[30, 56:64] == 1).all()) is seen_by_views


@pytest.mark.parametrize("gap_in_validation", [True, False])
def test_the_threshold_is_chosen_on_validation_pictures_and_never_on_those_that_are_scored(
    monkeypatch, gap_in_validation
):
    whole, gap = picture(wall(gap=0.4)), picture(wall(gap=0.4), reference_gap=True)
    # Who closes the gap is right about the one and wrong about the other.
    chosen_with, tested = ([gap], [whole]) if gap_in_validation else ([whole], [gap])
    config = PaperSet(name="walls", connected="membrane", rest="cell")
    study = SimpleNamespace(
        title="walls", config=config, description=SimpleNamespace(classes=("cell", "membrane"), colors=None)
    )
    job = SimpleNamespace(paper=SimpleNamespace(repair=RepairConfig()), scored=[], pictures=[])
    monkeypatch.setattr(run, "_write", lambda job: None)
    run._score(job, study, 2, SimpleNamespace(train=[]), network="n", said=(chosen_with, tested))
    (scored,) = job.scored
    assert (scored.threshold == NOTHING_CLOSED) is gap_in_validation
    walls = scored.repairs["reconnect"]["walls closed"], scored.repairs["none"]["walls closed"]
    assert walls == (0, 0)
    closed = scored.repairs["reconnect"]["recall membrane"] == 1
    assert closed is not gap_in_validation
