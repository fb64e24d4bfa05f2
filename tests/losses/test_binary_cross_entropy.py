"""`cellproof.losses.binary_cross_entropy`: torch as oracle."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from cellproof.losses.binary_cross_entropy import binary_cross_entropy


@pytest.mark.parametrize("positive_weight", [1.0, 7.5])
@pytest.mark.parametrize("shape", [(2, 5, 6), (2, 1, 5, 6)])
def test_the_loss_equals_torchs(shape, positive_weight):
    generator = torch.Generator().manual_seed(0)
    logits, target = torch.randn(shape, generator=generator), torch.rand(shape, generator=generator)
    wanted = functional.binary_cross_entropy_with_logits(logits, target, pos_weight=torch.tensor(positive_weight))
    found = binary_cross_entropy(logits, target, positive_weight=positive_weight)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0)


def test_the_mean_is_taken_over_the_valid_pixels():
    logits = torch.tensor([[[0.0, 100.0, -3.0]]])
    target = torch.tensor([[[1.0, 0.0, 0.0]]])
    valid = torch.tensor([[[True, False, False]]])
    assert binary_cross_entropy(logits, target, valid=valid).item() == pytest.approx(math.log(2))
