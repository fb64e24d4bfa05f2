from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from cellproof.checks import InputError
from cellproof.difficulty.confidence import entropy
from cellproof.difficulty.disagreement import Disagreement, Poll, disagreement


def _draw(seed, *shape, spread=0.4):
    """(…, C, 3, 4) probabilities; the last of ``shape`` is C."""
    drawn = np.random.default_rng(seed).dirichlet([spread] * shape[-1], (*shape[:-1], 3, 4))
    return np.moveaxis(drawn, -1, -3)


stacks = st.builds(_draw, st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(2, 5))


def _nats(stack):
    """The definition spelled out: entropy of the mean less mean of the entropies, C in the axis before the last two."""

    def entropy_nats(p):
        return -(p * np.log(np.where(p > 0, p, 1))).sum(axis=-3)

    return entropy_nats(stack.mean(axis=0)) - entropy_nats(stack).mean(axis=0)


@settings(max_examples=30, deadline=None)
@given(stack=stacks)
def test_disagreement_lies_between_0_and_1_and_knows_no_order_of_predictions_or_classes(stack):
    found = disagreement(stack)
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_allclose(disagreement(stack[::-1]), found, atol=1e-12)
    np.testing.assert_allclose(disagreement(stack[:, ::-1]), found, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(stack=stacks)
def test_disagreement_is_the_divergence_over_its_largest_value_and_at_most_the_entropy_of_the_mean(stack):
    count, classes = stack.shape[:2]
    largest = np.log(min(count, classes)) if count > 1 else 1.0
    found = disagreement(stack) * largest
    np.testing.assert_allclose(found, _nats(stack), atol=1e-9)
    assert (found <= entropy(stack.mean(axis=0)) * np.log(classes) + 1e-9).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 6))
def test_disagreement_of_two_equals_scipys_squared_jensen_shannon_distance(seed, classes):
    first, second = _draw(seed, 2, classes)
    oracle = jensenshannon(first, second, base=2, axis=0) ** 2
    np.testing.assert_allclose(disagreement([first, second]), oracle, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 9), classes=st.integers(2, 4))
def test_predictions_that_agree_have_disagreement_0_however_unsure_they_are(seed, count, classes):
    same = _draw(seed, classes).astype(np.float32)
    found = disagreement([same] * count)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 0, atol=1e-12)


@pytest.mark.parametrize(("count", "classes"), [(2, 2), (3, 3), (4, 2), (2, 5), (8, 2), (8, 4)])
def test_sure_predictions_that_name_as_many_classes_as_they_can_disagree_wholly(count, classes):
    named = np.eye(classes)[np.arange(count) % classes]
    np.testing.assert_allclose(disagreement(named[:, :, None, None]), 1, atol=1e-12)


def test_a_small_divergence_survives_single_precision():
    # d = 0.001 about p = 0.5: the divergence is d² / (8 p (1 - p)) in nats, far below the rounding of an entropy.
    pair = np.array([[0.4995, 0.5005], [0.5005, 0.4995]], np.float32)[:, :, None, None]
    np.testing.assert_allclose(disagreement(pair), 1e-6 / 2 / np.log(2), rtol=1e-2)


def test_running_sums_hold_the_mean_and_leave_predictions_as_they_were():
    stack = _draw(5, 4, 3).astype(np.float32)
    before = stack.copy()
    sums = Disagreement()
    for probabilities in stack:
        sums.add(probabilities)
    np.testing.assert_allclose(sums.mean(), before.mean(axis=0), atol=1e-6)
    np.testing.assert_array_equal(stack, before)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), members=st.integers(1, 4), views=st.integers(1, 8), classes=st.integers(2, 4))
def test_what_divides_members_and_what_divides_views_add_up_to_what_divides_all_runs(seed, members, views, classes):
    runs = _draw(seed, members, views, classes)
    poll = Poll()
    for number, of_member in enumerate(runs):
        for probabilities in of_member:
            poll.add(number, probabilities)
    between_views = poll.between_views() * np.log(max(2, min(views, classes)))
    between_members = poll.between_members() * np.log(max(2, min(members, classes)))
    np.testing.assert_allclose(between_views + between_members, _nats(runs.reshape(-1, *runs.shape[2:])), atol=1e-9)
    if members == 1:
        assert (poll.between_members() == 0).all()
    if views == 1:
        assert (poll.between_views() == 0).all()


def test_views_that_contradict_each_other_alike_in_all_members_do_not_set_members_apart():
    poll = Poll()
    for member in range(3):
        for view in range(2):
            poll.add(member, np.eye(2)[view][:, None, None])
    assert poll.between_views() == pytest.approx(1)
    assert poll.between_members() == pytest.approx(0)


def test_a_member_asked_again_later_is_refused():
    poll = Poll()
    for member in (0, 1):
        poll.add(member, _draw(0, 2))
    with pytest.raises(InputError, match="view of member 0 came after"):
        poll.add(0, _draw(0, 2))


def test_an_empty_set_of_predictions_is_refused():
    with pytest.raises(InputError, match="got no prediction"):
        disagreement([])
    with pytest.raises(InputError, match="nobody was asked"):
        Poll().between_views()
    with pytest.raises(InputError, match="got no prediction"):
        Poll().between_members()


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (np.full((2, 3, 5), 0.5), "shapes differ"),
        (np.full((2, 3, 4), 0.6), "sum to 1.2"),
        (np.ones((2, 3)), "shapes differ"),
    ],
)
def test_what_does_not_fit_those_before_is_refused(second, message):
    with pytest.raises(InputError, match=message):
        disagreement([_draw(0, 2), second])
