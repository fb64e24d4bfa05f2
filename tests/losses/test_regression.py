"""`cellproof.losses.smooth_l1`, `squared_error` and `flow`: torch as oracle, and weights by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from cellproof.losses.flow import flow_loss
from cellproof.losses.smooth_l1 import smooth_l1
from cellproof.losses.squared_error import masked_mse


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 4, 5, generator=generator), torch.randn(2, 3, 4, 5, generator=generator)


def test_with_equal_weights_the_losses_equal_torchs(pair):
    weights = torch.full_like(pair[0], 0.3)
    torch.testing.assert_close(masked_mse(*pair, weights), functional.mse_loss(*pair))
    for beta in (0.1, 1.0):
        wanted = functional.smooth_l1_loss(*pair, beta=beta)
        torch.testing.assert_close(smooth_l1(*pair, weights, beta=beta), wanted)


def test_weights_count_values():
    prediction, target = torch.tensor([1.0, 2.0, 9.0]), torch.zeros(3)
    weights = torch.tensor([3.0, 1.0, 0.0])
    assert masked_mse(prediction, target, weights).item() == pytest.approx((3 * 1 + 4) / 4)
    assert smooth_l1(prediction, target, weights).item() == pytest.approx((3 * 0.5 + 1.5) / 4)


def test_flows_count_in_objects_alone_and_a_flow_of_zeros_costs_one_half():
    angle = torch.linspace(0, 6, 20).reshape(1, 4, 5)
    target = torch.stack([angle.cos(), angle.sin()], dim=1)
    mask = torch.zeros(1, 4, 5, dtype=torch.bool)
    mask[0, 1:3] = True
    assert flow_loss(torch.zeros_like(target), target, mask).item() == pytest.approx(0.5)
    assert flow_loss(-target, target, mask).item() == pytest.approx(2.0)
    assert flow_loss(torch.where(mask[:, None], target, 50.0), target, mask).item() == 0
