"""`cellproof.losses.binary_cross_entropy`: torch as oracle."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from cellproof.checks import InputError
from cellproof.losses.binary_cross_entropy import binary_cross_entropy, term


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


def test_of_two_classes_it_is_the_cross_entropy_of_their_softmax_with_weighted_positives():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 2, 4, 5, generator=generator)
    classes = torch.randint(0, 2, (2, 4, 5), generator=generator)
    plain = functional.cross_entropy(logits, classes, reduction="none")
    found = term(logits, classes, class_map=classes, class_weights=None, positive_weight=3.0)
    torch.testing.assert_close(found, (plain * torch.where(classes == 1, 3.0, 1.0)).mean())


def test_a_weight_from_the_data_is_the_ratio_of_the_class_weights():
    logits, classes = torch.randn(1, 2, 3, 3), torch.eye(3)[None].long()
    weights = torch.tensor([0.5, 1.5])
    from_data = term(logits, classes, class_map=classes, class_weights=weights, positive_weight="data")
    torch.testing.assert_close(
        from_data, term(logits, classes, class_map=classes, class_weights=None, positive_weight=3.0)
    )


def test_pixels_without_annotation_have_no_say_in_two_classes():
    logits = torch.zeros(1, 2, 1, 3, requires_grad=True)
    classes = torch.tensor([[[1, 255, 0]]])
    term(logits, classes, class_map=classes, class_weights=None).backward()
    assert logits.grad[..., 1].abs().max() == 0
    assert logits.grad[0, 1, 0, 0].item() == pytest.approx(-0.25)


@pytest.mark.parametrize(
    ("channels", "weight", "message"),
    [
        (3, 1.0, "compares two classes, there are 3"),
        (2, "data", "balance_classes = 1"),
        (2, "much", "expected a number"),
    ],
)
def test_what_cannot_be_weighed_is_refused(channels, weight, message):
    classes = torch.zeros(1, 2, 2, dtype=torch.long)
    with pytest.raises(InputError, match=message):
        term(torch.zeros(1, channels, 2, 2), classes, class_map=classes, class_weights=None, positive_weight=weight)
