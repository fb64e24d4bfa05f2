"""`cellproof.losses.weighted_sum`: the sum, its terms, and what is refused."""

from __future__ import annotations

import pytest
import torch

from cellproof.checks import InputError
from cellproof.losses.weighted_sum import Term, WeightedSum


def mean(outputs, target):
    return (outputs - target).mean()


def largest(outputs, target):
    return (outputs - target).max()


def test_the_sum_is_weighted_and_its_terms_are_not():
    outputs = torch.tensor([1.0, 3.0], requires_grad=True)
    total = WeightedSum((Term(2.0, mean), Term(0.5, largest)))(outputs, torch.zeros(2))
    assert total.value.item() == 2 * 2 + 0.5 * 3
    assert total.terms.tolist() == [2, 3]
    assert not total.terms.requires_grad
    total.value.backward()
    assert outputs.grad.tolist() == [1, 1.5]


def test_a_sum_of_nothing_is_refused():
    with pytest.raises(InputError, match="at least one Term"):
        WeightedSum(())


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan")])
def test_weights_that_are_not_above_zero_are_refused(weight):
    with pytest.raises(InputError, match="wanted above 0"):
        WeightedSum((Term(1.0, mean), Term(weight, mean)))
