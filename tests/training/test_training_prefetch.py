from __future__ import annotations

import threading

import pytest

from cellproof.training.prefetch import prefetch


def workers():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")]


@pytest.mark.parametrize(("first", "last", "ahead"), [(0, 7, 2), (3, 5, 4), (4, 5, 1), (2, 2, 2), (5, 2, 2)])
def test_batches_come_in_order_each_made_once(first, last, ahead):
    made = []
    with prefetch(lambda step: made.append(step) or step, first, last, ahead=ahead) as batches:
        assert list(batches) == list(range(first, last))
    assert made == list(range(first, last))
    assert workers() == []


def test_no_more_batches_are_made_than_allowed_ahead():
    made = []
    with prefetch(lambda step: made.append(step) or step, 0, 100, ahead=2) as batches:
        assert [next(batches), next(batches)] == [0, 1]
    assert max(made) <= 3


def test_an_error_in_a_batch_comes_when_that_batch_is_asked_for_and_ends_the_thread():
    def broken(step):
        if step == 2:
            raise ValueError("no such image")
        return step

    got = []

    def take_all():
        with prefetch(broken, 0, 10) as batches:
            got.extend(batches)

    with pytest.raises(ValueError, match="no such image"):
        take_all()
    assert got == [0, 1]
    assert workers() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_outside_ends_the_thread(error):
    def leave():
        with prefetch(lambda step: step, 0, 1000) as batches:
            raise error(f"after batch {next(batches)}")

    with pytest.raises(error, match="after batch 0"):
        leave()
    assert workers() == []
