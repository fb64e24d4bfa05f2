from __future__ import annotations

import json

import pytest
import torch

from cellproof.checks import InputError
from cellproof.training.checkpoint import restore, to_tensors, weights_so_far


def test_a_state_comes_back_as_it_was_saved(toy):
    trainer = toy.run(toy.trainer(steps=6))
    copy = toy.through_a_file(trainer, toy.trainer(seed=99, steps=6))
    assert toy.state(copy) == toy.state(trainer)
    assert copy.history == trainer.history
    assert copy.stopping == trainer.stopping


def test_moments_come_back_in_the_memory_order_of_their_weights(toy):
    copy = toy.through_a_file(toy.run(toy.trainer()), toy.trainer())
    strides = {
        (parameter.stride(), copy.optimizer.state[parameter]["exp_avg"].stride())
        for parameter in copy.module.parameters()
    }
    assert len(strides) > 1
    assert all(weight == moment for weight, moment in strides)


def test_scores_that_are_no_numbers_survive(toy):
    trainer = toy.run(toy.trainer(), validate=lambda module: (float("nan"), {"map": float("inf")}))
    copy = toy.through_a_file(trainer, toy.trainer())
    assert [row.score != row.score for row in copy.history] == [True, True, True]
    assert copy.stopping.best == float("-inf")


def test_a_state_of_an_earlier_version_without_losses_and_limit_is_read(toy):
    trainer = toy.run(toy.trainer(steps=6))
    tensors, counters = to_tensors(trainer)
    early = {
        key: value for key, value in json.loads(counters).items() if key not in ("loss_sum", "loss_count", "limit_s")
    }
    copy = toy.trainer(seed=99, steps=6, seconds=30.0)
    restore(copy, tensors, json.dumps(early))
    assert (copy.step, copy.loss_count, copy.options.seconds) == (6, 0, 30.0)
    assert torch.equal(copy.module.head.weight, trainer.module.head.weight)


@pytest.mark.parametrize(
    "damage",
    [
        lambda tensors, counters: (tensors, "{}"),
        lambda tensors, counters: (tensors, "no json"),
        lambda tensors, counters: (tensors, counters.replace('"step"', '"stairs"')),
        lambda tensors, counters: ({}, counters),
        lambda tensors, counters: ({**tensors, "optimizer.0.exp_avg.x": torch.zeros(1)}, counters),
        lambda tensors, counters: ({**tensors, "optimizer.one.exp_avg": torch.zeros(1)}, counters),
    ],
)
def test_a_damaged_state_is_refused_in_one_line(toy, damage):
    tensors, counters = damage(*to_tensors(toy.run(toy.trainer(steps=2))))
    with pytest.raises(InputError, match="does not fit this network") as refusal:
        restore(toy.trainer(), tensors, counters)
    assert "\n" not in str(refusal.value)


def test_the_state_of_another_network_is_refused_in_one_line(toy):
    tensors, counters = to_tensors(toy.run(toy.trainer(width=3, steps=2)))
    with pytest.raises(InputError, match="start anew in another folder") as refusal:
        restore(toy.trainer(width=2), tensors, counters)
    assert "\n" not in str(refusal.value)


def test_the_model_of_an_unfinished_training_is_the_average_until_there_is_a_best(toy):
    trainer = toy.trainer()
    with pytest.raises(KeyboardInterrupt):
        toy.run(trainer, on_step=_stop_at_three)
    early = weights_so_far(to_tensors(trainer)[0])
    assert torch.equal(early["head.weight"], trainer.average.module.head.weight)
    assert not torch.equal(early["head.weight"], trainer.module.head.weight)
    toy.run(trainer, validate=_falling())
    late = weights_so_far(to_tensors(trainer)[0])
    assert torch.equal(late["head.weight"], trainer.best["head.weight"])
    assert not torch.equal(late["head.weight"], trainer.average.module.head.weight)


def _stop_at_three(progress):
    if progress.step == 3:
        raise KeyboardInterrupt


def _falling():
    scores = iter([0.9, 0.5, 0.4])
    return lambda module: (next(scores), {})
