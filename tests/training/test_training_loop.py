from __future__ import annotations

import signal

import numpy as np
import pytest
import torch

from cellproof.models._batch_renorm import BatchRenorm2d


def stop_after(step):
    def on_step(progress):
        if progress.step == step:
            raise KeyboardInterrupt

    return on_step


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize(
    "stopped_at", [3, 4, 9, 10], ids=["amid", "before validation", "late", "before the last validation"]
)
def test_a_resumed_training_is_the_uninterrupted_one_bit_for_bit(toy, optimizer, stopped_at):
    whole = toy.run(toy.trainer(optimizer=optimizer))
    first = toy.trainer(optimizer=optimizer)
    with pytest.raises(KeyboardInterrupt):
        toy.run(first, on_step=stop_after(stopped_at))
    resumed = toy.run(toy.through_a_file(first, toy.trainer(seed=99, optimizer=optimizer)))
    assert toy.state(resumed) == toy.state(whole)
    assert [row.step for row in whole.history] == [4, 8, 10]


def test_a_training_stopped_twice_is_still_the_same(toy):
    whole = toy.run(toy.trainer())
    trainer = toy.trainer()
    for step in (2, 7):
        with pytest.raises(KeyboardInterrupt):
            toy.run(trainer, on_step=stop_after(step))
        trainer = toy.through_a_file(trainer, toy.trainer(seed=5))
    assert toy.state(toy.run(trainer)) == toy.state(whole)


def test_ctrl_c_inside_a_step_waits_until_the_step_is_whole(toy):
    def pressed(outputs, batch):
        if trainer.step == 5:
            signal.raise_signal(signal.SIGINT)
        return toy.loss(outputs, batch)

    trainer = toy.trainer()
    with pytest.raises(KeyboardInterrupt):
        toy.run(trainer, loss=pressed)
    assert trainer.step == 6
    resumed = toy.run(toy.through_a_file(trainer, toy.trainer(seed=99)))
    assert toy.state(resumed) == toy.state(toy.run(toy.trainer()))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(toy):
    first, second, other = (toy.run(toy.trainer(seed=seed)) for seed in (3, 3, 4))
    assert toy.state(first) == toy.state(second)
    assert toy.state(first)[0]["best.head.weight"] != toy.state(other)[0]["best.head.weight"]


def test_dropout_follows_the_seed_of_the_options(toy):
    first, other = (toy.run(toy.trainer(seed=3)), toy.trainer(seed=3))
    other.options = type(other.options)(**{**vars(other.options), "seed": 1})
    assert toy.state(first)[0]["best.head.weight"] != toy.state(toy.run(other))[0]["best.head.weight"]


def test_rows_hold_the_mean_loss_of_their_steps(toy):
    told = []
    trainer = toy.run(toy.trainer(), on_step=lambda progress: told.append(progress.loss))
    expected = [np.mean(told[:4]), np.mean(told[4:8]), np.mean(told[8:])]
    np.testing.assert_allclose([row.loss for row in trainer.history], expected, rtol=1e-12)


def test_training_lowers_the_loss(toy):
    trainer = toy.run(toy.trainer(steps=40, validate_every=1, average_decay=0.9))
    entropies = [row.metrics["entropy"] for row in trainer.history]
    assert np.mean(entropies[-5:]) < np.mean(entropies[:5]) - 0.03


def test_patience_stops_and_the_best_weights_are_those_of_the_best_score(toy):
    scores = iter([0.1, 0.3, 0.2, 0.25, 0.9])
    kept = []

    def scripted(module):
        kept.append({name: value.clone() for name, value in module.state_dict().items()})
        return next(scores), {}

    trainer = toy.run(toy.trainer(steps=50, patience=2), validate=scripted)
    assert (trainer.step, trainer.stopping.best, trainer.stopping.best_step) == (16, 0.3, 8)
    assert all(torch.equal(trainer.best[name], value) for name, value in kept[1].items())
    assert not torch.equal(kept[1]["head.weight"], kept[3]["head.weight"])


def test_without_any_score_that_is_a_number_the_newest_weights_are_kept(toy):
    trainer = toy.run(toy.trainer(), validate=lambda module: (float("nan"), {}))
    newest = trainer.average.module.state_dict()
    assert all(torch.equal(trainer.best[name], value) for name, value in newest.items())


class Clock:
    """Seconds that pass only when they are told to."""

    def __init__(self, now=100.0):
        self.now = now

    def __call__(self):
        return self.now

    def during(self, function, seconds):
        def slow(*arguments):
            self.now += seconds
            return function(*arguments)

        return slow


def test_the_time_limit_ends_a_training_and_brings_its_learning_rate_to_rest(toy):
    clock = Clock()
    rates = []
    trainer = toy.trainer(steps=10**6, seconds=5.5, warmup=0.0, validate_every=1000)
    toy.run(
        trainer,
        loss=clock.during(toy.loss, 1.0),
        clock=clock,
        on_step=lambda progress: rates.append(trainer.optimizer.param_groups[0]["lr"]),
    )
    assert trainer.step == 6
    shares = np.arange(6) / 5.5
    np.testing.assert_allclose(rates, 0.05 * 0.5 * (1 + np.cos(np.pi * shares)), rtol=1e-12)
    assert trainer.history[-1].learning_rate == 0


def test_time_is_counted_over_resumptions_and_validations(toy):
    clock = Clock()
    parts = {
        "loss": clock.during(toy.loss, 1.0),
        "clock": clock,
        "validate": clock.during(lambda module: (1.0, {}), 0.5),
    }
    first = toy.trainer(steps=10**6, seconds=8.2)
    with pytest.raises(KeyboardInterrupt):
        toy.run(first, on_step=stop_after(5), **parts)
    assert first.seconds == pytest.approx(5.5)
    clock.now += 1000
    second = toy.through_a_file(first, toy.trainer(steps=10**6, seconds=1.0))
    assert second.options.seconds == 8.2
    toy.run(second, **parts)
    assert (second.step, second.seconds) == (8, pytest.approx(9.0))


def test_a_training_that_is_through_does_nothing_more(toy):
    done = toy.run(toy.trainer())
    before = toy.state(done)
    again = toy.run(toy.through_a_file(done, toy.trainer(seed=9)), loss=None, validate=None)
    assert toy.state(again) == before


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_refused_before_it_reaches_the_weights(toy, value):
    trainer = toy.trainer()
    with pytest.raises(KeyboardInterrupt):
        toy.run(trainer, on_step=stop_after(3))
    before = {name: parameter.clone() for name, parameter in trainer.module.named_parameters()}
    with pytest.raises(FloatingPointError, match=r"loss is (nan|inf) at step 3; lower the learning rate \(now 0.0"):
        toy.run(trainer, loss=lambda outputs, batch: toy.loss(outputs, batch) * value)
    assert trainer.step == 3
    assert all(torch.equal(parameter, before[name]) for name, parameter in trainer.module.named_parameters())


def test_a_cooldown_ends_a_schedule_that_is_laid_out_for_more_steps(toy):
    rates = {}
    for steps, options in ((20, {}), (10, {"horizon": 20, "cooldown": 0.4})):
        trainer = toy.trainer(steps=steps, warmup=0.0, validate_every=100, **options)
        rates[steps] = []
        for _ in range(steps):
            trainer.take_step(toy.batch_at(0), toy.loss)
            rates[steps].append(trainer.optimizer.param_groups[0]["lr"])
    assert rates[10][:7] == rates[20][:7]
    np.testing.assert_allclose(rates[10][6:], rates[20][6] * np.array([1, 0.75, 0.5, 0.25]), rtol=1e-12)
    assert trainer.learning_rate == 0


def renorms(module):
    return [part for part in module.modules() if isinstance(part, BatchRenorm2d)]


def test_batch_renormalization_leaves_batch_normalization_within_a_training_of_160_steps(toy):
    trainer, bounds, deviations = toy.trainer(steps=160, validate_every=160), [], []
    norm = renorms(trainer.module)[0]

    def on_step(progress):
        bounds.append(norm.bounds())
        deviations.append(norm.running_sd.clone())

    toy.run(trainer, on_step=on_step)
    r, d = zip(*bounds, strict=True)
    # Plain for a tenth, and then ever wider: d is 5 at half of the training, r is 3 at four fifths.
    assert r[:17] == (1,) * 17
    assert d[:17] == (0,) * 17
    assert 1 < r[20] < r[80] < r[120] < r[-1] == 3
    assert 0 < d[20] < d[40] < d[85] == d[-1] == 5
    # Nothing of the running deviation's first value, 1, is left after the first step.
    assert all(int(part.steps) == 160 for part in renorms(trainer.module))
    assert not torch.isclose(deviations[0], torch.ones(())).any()


def test_with_a_time_limit_batch_renormalization_follows_the_clock(toy):
    trainer, seen = toy.trainer(steps=1000, seconds=20.0, validate_every=1000), []
    ticks = iter(range(10_000))
    toy.run(
        trainer, on_step=lambda progress: seen.append(renorms(trainer.module)[0].bounds()), clock=lambda: next(ticks)
    )
    assert trainer.step < 30
    assert seen[-1] == (3, 5)


class Listening:
    """A loss that keeps what it hears of the progress."""

    def __init__(self, loss):
        self.loss, self.heard = loss, []

    def tell_progress(self, share):
        self.heard.append(share)

    def __call__(self, outputs, batch):
        return (1 + self.heard[-1]) * self.loss(outputs, batch)


def test_a_loss_hears_before_every_step_how_much_is_done_also_when_resumed(toy):
    whole, first, rest = (Listening(toy.loss) for _ in range(3))
    expected = toy.run(toy.trainer(), loss=whole)
    assert whole.heard == pytest.approx([step / 10 for step in range(10)])
    stopped = toy.trainer()
    with pytest.raises(KeyboardInterrupt):
        toy.run(stopped, loss=first, on_step=stop_after(4))
    resumed = toy.run(toy.through_a_file(stopped, toy.trainer(seed=5)), loss=rest)
    assert first.heard + rest.heard == whole.heard
    assert toy.state(resumed) == toy.state(expected)
