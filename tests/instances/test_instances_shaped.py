"""Proposals of a detector in the shape of the foreground."""

from __future__ import annotations

import numpy as np

from cellproof.instances.shaped import separate
from cellproof.types import InstanceOptions

OPTIONS = InstanceOptions(method="shaped")


def maps(owner, scores, **more):
    owner = np.array(owner)
    return {"detections": np.stack([owner, np.array([0, *scores])[owner]]), **more}


def test_two_proposals_divide_one_piece_of_foreground_at_equal_distance():
    owner = [[1, 1, 0, 0, 0, 0, 2, 2]]
    found = separate(maps(owner, (0.9, 0.8)), np.ones((1, 8), bool), OPTIONS)
    assert found.tolist() == [[1, 1, 1, 1, 2, 2, 2, 2]]


def test_a_boundary_is_a_wall_wherever_the_proposals_end():
    owner = [[1, 1, 0, 0, 0, 0, 2, 2]]
    boundary = np.array([[[0, 0, 0, 0, 0, 0.9, 0, 0]]])
    found = separate(maps(owner, (0.9, 0.8), boundary=boundary), np.ones((1, 8), bool), OPTIONS)
    assert found[0, :5].tolist() == [1] * 5
    assert found[0, 6:].tolist() == [2, 2]


def test_proposals_that_are_mostly_background_or_unlikely_are_none():
    owner = [[1, 1, 1, 0, 2, 2, 0, 3, 3]]
    foreground = np.array([[True, False, False, False, True, True, False, True, True]])
    found = separate(maps(owner, (0.9, 0.8, 0.4)), foreground, InstanceOptions(options={"unproposed": False}))
    assert found.tolist() == [[0, 0, 0, 0, 2, 2, 0, 0, 0]]


def test_foreground_that_nothing_was_proposed_for_is_kept_in_pieces():
    owner = [[1, 1, 0, 0, 0, 0, 0]]
    foreground = np.array([[True, True, False, True, True, False, True]])
    assert separate(maps(owner, (0.9,)), foreground, OPTIONS).tolist() == [[1, 1, 0, 2, 2, 0, 3]]


def test_without_proposals_objects_are_the_pieces_and_without_foreground_there_is_none():
    owner = np.zeros((1, 4), int)
    foreground = np.array([[True, False, True, True]])
    assert separate(maps(owner, ()), foreground, OPTIONS).tolist() == [[1, 0, 2, 2]]
    assert not separate(maps([[1, 1, 0, 0]], (0.9,)), np.zeros((1, 4), bool), OPTIONS).any()


def test_a_proposal_that_is_half_foreground_is_kept_and_one_at_the_score_too():
    owner = [[1, 1, 0, 2, 2, 2, 2, 0, 3]]
    foreground = np.array([[True, False, False, True, True, False, False, False, True]])
    just = InstanceOptions(options={"unproposed": False, "score": 0.75})
    assert separate(maps(owner, (0.9, 0.75, 0.74)), foreground, just).tolist() == [[1, 0, 0, 2, 2, 0, 0, 0, 0]]
    assert separate(maps(owner, (0.9, 0.75, 0.5)), foreground, OPTIONS).tolist() == [[1, 0, 0, 2, 2, 0, 0, 0, 3]]


def test_pieces_without_a_proposal_are_numbered_after_all_proposals_as_whole_numbers():
    owner = [[0, 2, 2, 0, 0, 0]]
    foreground = np.array([[False, True, True, False, True, True]])
    found = separate(maps(owner, (0.1, 0.9)), foreground, OPTIONS)
    assert found.dtype == np.int32
    assert found.tolist() == [[0, 2, 2, 0, 3, 3]]
