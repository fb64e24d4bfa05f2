"""`cellproof.losses.topk`: which pixels are taken, counted by hand and by sorting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from cellproof.checks import InputError
from cellproof.losses.topk import fraction_at, hardest_mean, term


def logits_of(losses):
    """Two-class logits whose cross-entropy against class 1 is what is asked for, (H, W) each."""
    wanted = torch.tensor(losses, dtype=torch.float64)
    # loss = log(1 + exp(-x)), so x = -log(exp(loss) - 1).
    return torch.stack([torch.zeros_like(wanted), -torch.log(torch.expm1(wanted))])


LOSSES = [[[0.1, 0.4, 0.2], [0.3, 0.6, 0.5]], [[2.0, 1.0, 3.0], [6.0, 5.0, 4.0]]]
OUTPUTS = torch.stack([logits_of(one) for one in LOSSES])
OBJECTS = torch.ones(2, 2, 3, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"fraction": 1.0}, (2.1 + 21) / 12),
        ({"fraction": 0.5}, (0.6 + 0.5 + 0.4 + 6 + 5 + 4) / 6),
        ({"fraction": 0.4}, (0.6 + 0.5 + 0.4 + 6 + 5 + 4) / 6),  # 2.4 pixels are rounded up
        ({"count": 2}, (0.6 + 0.5 + 6 + 5) / 4),
        ({"count": 2, "per_image": False}, (6 + 5) / 2),
        ({"fraction": 0.5, "per_image": False}, (6 + 5 + 4 + 3 + 2 + 1) / 6),
        ({"count": 7, "per_image": False}, (21 + 0.6) / 7),
        ({"count": 2, "descent": 0.5, "progress": 0.0}, (2.1 + 21) / 12),
        ({"count": 2, "descent": 0.5, "progress": 0.25}, (0.6 + 0.5 + 0.4 + 0.3 + 6 + 5 + 4 + 3) / 8),
        ({"count": 2, "descent": 0.5, "progress": 0.5}, (0.6 + 0.5 + 6 + 5) / 4),
    ],
)
def test_the_largest_losses_are_taken_and_no_others(options, expected):
    assert term(OUTPUTS, OBJECTS, class_map=OBJECTS, class_weights=None, **options).item() == pytest.approx(expected)


def test_pixels_without_annotation_are_never_among_the_hardest_and_do_not_count():
    class_map = OBJECTS.clone()
    class_map[1, 1] = 255  # the three largest losses: 3 annotated pixels are left of the second image
    told = {"class_map": class_map, "class_weights": None}
    assert term(OUTPUTS, class_map, fraction=0.34, **told).item() == pytest.approx((0.6 + 0.5 + 0.4 + 3 + 2) / 5)
    assert term(OUTPUTS, class_map, count=5, **told).item() == pytest.approx((0.6 + 0.5 + 0.4 + 0.3 + 0.2 + 6) / 8)


def test_only_the_hardest_pixels_have_a_gradient():
    outputs = OUTPUTS.clone().requires_grad_()
    term(outputs, OBJECTS, class_map=OBJECTS, class_weights=None, count=2).backward()
    taught = outputs.grad[:, 1] != 0
    assert torch.equal(taught, torch.tensor(LOSSES) >= torch.tensor([0.5, 5.0])[:, None, None])


def test_a_yes_or_no_output_is_ranked_by_its_binary_cross_entropy():
    generator = torch.Generator().manual_seed(0)
    outputs, target = (torch.randn(2, 1, 4, 4, generator=generator), torch.rand(2, 1, 4, 4, generator=generator))
    each = functional.binary_cross_entropy_with_logits(outputs, target, reduction="none").flatten(1)
    expected = each.sort(dim=1).values[:, -4:].mean()
    class_map = torch.zeros(2, 4, 4, dtype=torch.uint8)
    torch.testing.assert_close(term(outputs, target, class_map=class_map, class_weights=None, fraction=0.25), expected)


def test_class_weights_enter_the_ranking():
    class_map = torch.tensor([[[0, 1, 1]]])
    outputs = torch.stack([torch.tensor([[0.0, 0.0, 1.0]]), torch.zeros(1, 3)])[None]
    alike = term(outputs, class_map, class_map=class_map, class_weights=None, count=1)
    weighted = term(outputs, class_map, class_map=class_map, class_weights=torch.tensor([4.0, 1.0]), count=1)
    assert alike.item() == pytest.approx(np.log(1 + np.e))
    assert weighted.item() == pytest.approx(4 * np.log(2))


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 30), st.floats(0.01, 1), st.booleans())
def test_the_mean_is_that_of_sorting(seed, images, pixels, fraction, per_image):
    rng = np.random.default_rng(seed)
    losses, counted = rng.random((images, pixels)), rng.random((images, pixels)) < 0.7
    rows = [(losses[n], counted[n]) for n in range(images)] if per_image else [(losses.ravel(), counted.ravel())]
    kept = [
        np.sort(values[there])[there.sum() - int(np.ceil(fraction * there.sum() - 1e-6)) :] for values, there in rows
    ]
    together = np.concatenate(kept)
    found = hardest_mean(torch.tensor(losses), torch.tensor(counted), fraction=fraction, per_image=per_image)
    assert found.item() == pytest.approx(together.mean() if together.size else 0)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1), st.floats(0, 1))
def test_ever_fewer_pixels_teach(earlier, later, fraction, descent):
    first, last = (fraction_at(p, fraction=fraction, descent=descent) for p in sorted((earlier, later)))
    assert fraction - 1e-12 <= last <= first <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 7}, "count is 7, expected 1 to 6, the values of one image; lower it, or give a fraction"),
        ({"count": 13, "per_image": False}, "count is 13, expected 1 to 12, the values of one batch"),
        ({"count": -1}, "count is -1, expected 1 to 6"),
        ({"fraction": 0.0}, "fraction is 0.0, expected a number in"),
        ({"fraction": 1.5}, "fraction is 1.5, expected a number in"),
        ({"descent": 2.0}, "descent is 2.0, expected a number in"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        term(OUTPUTS, OBJECTS, class_map=OBJECTS, class_weights=None, **options)
