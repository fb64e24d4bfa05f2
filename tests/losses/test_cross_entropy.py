"""`cellproof.losses.cross_entropy`: torch as oracle."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from cellproof.losses.cross_entropy import cross_entropy


@pytest.fixture
def logits():
    return torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def class_map():
    classes = torch.randint(0, 4, (2, 5, 6), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    classes[0, :2] = 255
    return classes


@pytest.mark.parametrize("class_weights", [None, torch.tensor([0.1, 1.0, 0.0, 4.0])])
def test_the_loss_equals_torchs(logits, class_map, class_weights):
    wanted = functional.cross_entropy(logits, class_map.long(), weight=class_weights, ignore_index=255)
    found = cross_entropy(logits, class_map, class_weights=class_weights)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=0)
    assert cross_entropy(logits, class_map.long(), class_weights=class_weights) == found


def test_another_value_can_stand_for_no_annotation(logits, class_map):
    other = torch.where(class_map == 255, 9, class_map)
    assert cross_entropy(logits, other, ignore=9) == cross_entropy(logits, class_map)
