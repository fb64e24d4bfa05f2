"""The protocol of membranes: what validation chooses, what is scored, and what a repair may know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.metrics.gaps import count_gaps
from cellproof.types import IGNORE
from cellproof.workflows.evaluate.protocol import ClassNames, Predicted, Reference
from cellproof.workflows.evaluate.protocols import difficulty, membranes
from cellproof.workflows.evaluate.protocols.membranes import NOTHING_CLOSED, Choice, Options, choose

OPTIONS = Options(connected="membrane", rest="cell", tolerance_px=2.0, confidence=0.5, most_false=0.5)
"""At even odds one closing that is right passes a limit of one half, so that a single wall is enough for a test."""

NAMES = ClassNames(("cell", "membrane"), ignore=IGNORE)


def wall(*, gap_probability: float, views: float | None = None, reference_gap: bool = False) -> Predicted:
    """A wall between two cells with a gap of 8 px; its probability as it came, and in eight views."""
    probability = np.full((40, 60), 0.02, np.float32)
    probability[18:21] = 0.95
    several = probability.copy()
    probability[18:21, 26:34] = gap_probability
    several[18:21, 26:34] = gap_probability if views is None else views
    mask = np.zeros((40, 60), np.uint8)
    mask[18:21] = 1
    if reference_gap:
        mask[18:21, 26:34] = 0
    probabilities = np.stack([1 - probability, probability])
    classes = probabilities.argmax(axis=0).astype(np.uint8)
    return Predicted(
        name="wall",
        image=probability[None],
        reference=Reference(mask, NAMES),
        labels=classes.astype(np.int32),
        classes=classes,
        probabilities=probabilities,
        views=np.stack([1 - several, several]),
        tta=np.zeros_like(probability),
    )


def scores(predicted: Predicted, choice: Choice) -> dict[str, dict[str, float]]:
    """Variant → metric and class → value."""
    found = {}
    for variant in membranes.variants(predicted, choice, OPTIONS):
        count = membranes.count(variant, predicted.reference, OPTIONS)
        rows = membranes.rows([count], NAMES, OPTIONS)
        found[variant.name] = {
            f"{row.metric} {row.class_or_threshold}".strip(): row.value for row in rows if row.averaging == "pooled"
        }
    return found


def test_validation_chooses_a_threshold_that_closes_what_is_there():
    predicted = wall(gap_probability=0.4)
    choice = choose([predicted], OPTIONS)
    assert 0 < choice.threshold < 0.9
    assert choice.smallest_px == pytest.approx(0.15 * (18 * 60 + 19 * 60) / 2)
    found = scores(predicted, choice)
    assert found["none"]["merged cells"] == 1
    assert found["reconnect"]["merged cells"] == 0
    assert found["none"]["adapted Rand error"] > found["reconnect"]["adapted Rand error"]
    assert abs(found["reconnect"]["width change %"]) < 5
    assert found["none"]["width change %"] == 0
    # One wall is open in the network, and the gap's centerline is all that is added.
    assert found["none"]["fraction of open walls closed"] == 0
    assert found["reconnect"]["fraction of open walls closed"] == 1
    assert found["none"]["cells harmed"] == found["reconnect"]["cells harmed"] == 0
    assert found["reconnect"]["added centerline precision"] == 1


def test_validation_closes_nothing_where_the_reference_has_gaps_too():
    assert choose([wall(gap_probability=0.4, reference_gap=True)], OPTIONS).threshold == NOTHING_CLOSED


def test_few_closings_do_not_show_that_hardly_any_are_false():
    several = [wall(gap_probability=0.4)] * 28
    strict = Options(connected="membrane", rest="cell", tolerance_px=2.0, most_false=0.1, confidence=0.95)
    # Of 28 right closings, one in ten might still be false: 1 - 0.05 ** (1 / 28) is 0.1014; of 29, 0.0981.
    assert choose(several, strict).threshold == NOTHING_CLOSED
    assert choose([*several, wall(gap_probability=0.4)], strict).threshold < 1


def test_the_limit_on_false_closings_holds_where_the_rand_error_would_be_lower_without_it():
    right, false = wall(gap_probability=0.4), wall(gap_probability=0.4, reference_gap=True)
    pictures = [right, right, right, false]
    lenient = replace_options(most_false=1.0)
    assert choose(pictures, lenient).threshold < 1
    assert choose(pictures, replace_options(most_false=0.2)).threshold == NOTHING_CLOSED


def replace_options(**changes: object) -> Options:
    values = {"connected": "membrane", "rest": "cell", "tolerance_px": 2.0, "confidence": 0.5}
    return Options(**{**values, **changes})


def test_the_evidence_of_a_gap_is_that_of_eight_views():
    by_views = wall(gap_probability=0.02, views=0.45)
    choice = Choice(threshold=0.2, smallest_px=0)
    assert scores(by_views, choice)["reconnect"]["merged cells"] == 0
    assert scores(wall(gap_probability=0.45, views=0.02), choice)["reconnect"]["merged cells"] == 1


def test_predictions_are_iterated_twice_and_never_listed():
    class Lazy:
        times = 0

        def __iter__(self):
            self.times += 1
            yield wall(gap_probability=0.4)

    lazy = Lazy()
    assert choose(lazy, OPTIONS) == choose([wall(gap_probability=0.4)], OPTIONS)
    assert lazy.times == 2


def test_nothing_of_the_reference_enters_a_repair():
    whole = wall(gap_probability=0.4)
    mask = whole.reference.mask.copy()
    mask[18:21, 20:40] = IGNORE
    hidden = replace(whole, reference=Reference(mask, NAMES))
    choice = Choice(threshold=0.1, smallest_px=0)
    for one, other in zip(
        membranes.variants(whole, choice, OPTIONS), membranes.variants(hidden, choice, OPTIONS), strict=True
    ):
        np.testing.assert_array_equal(one.values, other.values)


def test_pixels_without_annotation_enter_no_score():
    whole = wall(gap_probability=0.4)
    mask = whole.reference.mask.copy()
    mask[18:21, 24:36] = IGNORE
    hidden = replace(whole, reference=Reference(mask, NAMES))
    found = scores(hidden, Choice(threshold=0.1, smallest_px=0))
    assert found["none"]["recall membrane"] == found["none"]["precision membrane"] == 1


def test_difficulty_that_marks_the_wrong_pixels_ranks_them_first():
    predicted = wall(gap_probability=0.4)
    variant = next(iter(membranes.variants(predicted, Choice(1.01, 0), OPTIONS)))
    count = difficulty.count(variant, predicted.reference, None)
    found = {row.class_or_threshold: row.value for row in difficulty.rows([count], NAMES, None)}
    assert found["confidence"] == found["margin"] == 1
    assert found["difficult (f < mean)"] > 0.9
    assert "ensemble" not in found
    both = replace(predicted, ensemble=np.zeros((40, 60), np.float32))
    further = difficulty.count(replace(variant, source=both), predicted.reference, None)
    assert "ensemble" in further.measures


def test_a_class_that_a_set_lacks_is_named():
    with pytest.raises(InputError, match="no class 'wall'; the classes are cell, membrane"):
        choose([wall(gap_probability=0.4)], Options(connected="wall"))


def test_a_choice_is_told_in_words():
    assert membranes.describe(Choice(0.25, 41.7)) == "reconnect: threshold 0.25, no region below 42 px"
    assert membranes.describe(Choice(NOTHING_CLOSED, 0.0)) == "reconnect: nothing closed, no region below 0 px"


@pytest.mark.parametrize(
    ("closed", "falsely", "most_false", "is_kept"),
    [
        (0, 0, 0.0, True),
        (1, 1, 0.1, False),
        (0, 1, 0.1, False),
        (28, 0, 0.1, False),
        (29, 0, 0.1, True),
        (45, 1, 0.1, True),
    ],
)
def test_the_limit_is_on_false_ones_among_all_closings(closed, falsely, most_false, is_kept):
    gaps = replace(count_gaps(*[np.zeros((4, 4), bool)] * 3, tolerance_px=1), closed=closed, falsely_closed=falsely)
    assert membranes._passes(gaps, Options(most_false=most_false, confidence=0.95)) is is_kept
