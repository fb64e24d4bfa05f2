from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cellproof.training.average import WeightAverage


def averaged(values, decay):
    """The average's weight after each of these weights, and its counter."""
    module = nn.Sequential(nn.Linear(1, 1, bias=False).double(), nn.BatchNorm1d(1))
    nn.init.constant_(module[0].weight, values[0])
    average = WeightAverage(module, decay=decay)
    for value in values[1:]:
        nn.init.constant_(module[0].weight, value)
        module[1].num_batches_tracked += 1
        average.update(module)
    return float(average.module[0].weight), int(average.module[1].num_batches_tracked)


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=30), st.floats(0, 0.999))
@settings(max_examples=30, deadline=None)
def test_the_average_follows_its_formula(values, decay):
    expected = values[0]
    for number, value in enumerate(values[1:], start=1):
        kept = min(decay, (1 + number) / (10 + number))
        expected = kept * expected + (1 - kept) * value
    weight, _ = averaged(values, decay)
    np.testing.assert_allclose(weight, expected, rtol=1e-9, atol=1e-9)


def test_counters_are_copied_and_decay_zero_keeps_the_weights_themselves():
    assert averaged([5.0, 1.0, 2.5], 0.0) == (2.5, 2)


def test_the_start_is_forgotten_soon():
    # After ten updates the first weight counts 2/11 · 3/12 · … · 11/20 = 2.1e-4 at most, whatever the decay.
    weight, _ = averaged([1000.0] + [0.0] * 10, 0.999)
    np.testing.assert_allclose(weight, 1000 * np.prod([(1 + n) / (10 + n) for n in range(1, 11)]), rtol=1e-9)


def test_the_average_is_in_evaluation_mode_and_takes_no_gradient():
    module = nn.Dropout(0.5)
    average = WeightAverage(nn.Sequential(nn.Conv2d(1, 1, 1), module), decay=0.9)
    assert not average.module.training
    assert not any(parameter.requires_grad for parameter in average.module.parameters())
    ones = torch.ones(1, 1, 2, 2)
    assert torch.equal(average.module(ones), average.module(ones))
