from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from cellproof.models._batch_renorm import BatchRenorm2d


def open_norm(channels, **options):
    """A layer whose bounds are wide open, and whose running statistics have settled."""
    norm = BatchRenorm2d(channels, warmup=0, r_ramp=0, d_ramp=0, **options)
    norm.steps.fill_(5000)
    return norm


def test_the_output_is_the_formula_of_the_paper():
    # Batch values 0, 2, 4, 6: mean 3, variance 5. Running mean 1, sd 2; r = √5/2, d = 1.
    # y = γ((x - 3)/√5 · √5/2 + 1) + β = 3((x - 3)/2 + 1) + 10
    norm = open_norm(1, epsilon=0.0)
    norm.running_mean.fill_(1)
    norm.running_sd.fill_(2)
    with torch.no_grad():
        norm.weight.fill_(3)
        norm.bias.fill_(10)
    normalized = norm(torch.tensor([0.0, 2, 4, 6]).reshape(2, 1, 1, 2))
    assert normalized.flatten().tolist() == pytest.approx([8.5, 11.5, 14.5, 17.5])
    # α = 0.01: 1 + 0.01 (3 - 1) and 2 + 0.01 (√5 - 2).
    assert norm.running_mean.item() == pytest.approx(1.02)
    assert norm.running_sd.item() == pytest.approx(2 + 0.01 * (5**0.5 - 2))


def test_factor_and_shift_are_clipped():
    # r = 10 is cut to 2, d = 100 to 4: y = x̂ · 2 + 4 with x̂ = ±1.
    norm = open_norm(1, r_max=2.0, d_max=4.0, epsilon=0.0)
    assert norm(torch.tensor([90.0, 110]).reshape(1, 1, 1, 2)).flatten().tolist() == pytest.approx([2, 6])
    # r = 0.1 is cut to 1/2, d = -100 to -4.
    norm = open_norm(1, r_max=2.0, d_max=4.0, epsilon=0.0)
    assert norm(torch.tensor([-100.1, -99.9]).reshape(1, 1, 1, 2)).flatten().tolist() == pytest.approx(
        [-4.5, -3.5], abs=1e-4
    )


def test_no_gradient_flows_through_factor_and_shift():
    norm = open_norm(1, epsilon=0.0)
    features = torch.tensor([0.0, 2, 4, 6]).double().reshape(1, 1, 2, 2).requires_grad_()
    target = torch.randn(1, 1, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    (norm.double()(features) * target).sum().backward()
    # With r and d constant the layer is batch normalization scaled by r = √5 and shifted.
    other = features.detach().clone().requires_grad_()
    scaled = (other - other.mean()) / other.var(unbiased=False).sqrt() * 5**0.5 + 3
    (scaled * target).sum().backward()
    torch.testing.assert_close(features.grad, other.grad)


def test_with_closed_bounds_it_is_batch_normalization():
    torch.manual_seed(0)
    renorm, norm = BatchRenorm2d(3, r_max=1.0, d_max=0.0), nn.BatchNorm2d(3)
    for _ in range(3):
        features = torch.randn(4, 3, 5, 6) * 3 + 1
        torch.testing.assert_close(renorm(features), norm(features))


def test_in_evaluation_it_applies_the_running_statistics():
    norm = BatchRenorm2d(1).eval()
    norm.running_mean.fill_(2)
    norm.running_sd.fill_(4)
    features = torch.tensor([2.0, 6, 10]).reshape(1, 1, 1, 3)
    assert norm(features).flatten().tolist() == pytest.approx([0, 1, 2])
    assert norm.running_mean.item() == 2
    assert int(norm.steps) == 0


def test_bounds_widen_linearly_after_the_warmup():
    norm = BatchRenorm2d(1, r_max=3.0, d_max=5.0, warmup=0.1, r_ramp=0.3, d_ramp=0.2)
    expected = {0: (1, 0), 0.1: (1, 0), 0.15: (1.5, 2.5), 0.2: (2, 5), 0.3: (3, 5), 0.99: (3, 5)}
    for done, bounds in expected.items():
        norm.tell_progress(done)
        assert norm.bounds() == pytest.approx(bounds)


def test_untold_it_counts_its_steps_against_a_usual_training():
    norm = BatchRenorm2d(1)
    for step, bounds in {0: (1, 0), 500: (1, 0), 2500: (1 + 2 * 4 / 7, 5), 4000: (3, 5)}.items():
        norm.steps.fill_(step)
        assert norm.bounds() == pytest.approx(bounds)


def test_nothing_is_left_of_the_first_running_statistics_and_later_ones_remember_a_tenth_of_the_steps():
    norm = BatchRenorm2d(1, epsilon=0.0)
    norm(torch.tensor([10.0, 14]).reshape(1, 1, 1, 2))
    assert (norm.running_mean.item(), norm.running_sd.item()) == (12, 2)
    for step, weight in {90: 0.1, 990: 0.01, 5000: 0.01}.items():
        norm.running_mean.fill_(0)
        norm.steps.fill_(step)
        norm(torch.tensor([10.0, 14]).reshape(1, 1, 1, 2))
        assert norm.running_mean.item() == pytest.approx(12 * weight)


def test_training_agrees_with_evaluation_better_than_batch_normalization_at_batches_of_two():
    torch.manual_seed(0)
    layers = (open_norm(4), nn.BatchNorm2d(4, momentum=0.01))
    for _ in range(1000):
        batch = torch.randn(2, 4, 2, 2) * 3 + 5
        for layer in layers:
            layer(batch)
    gaps = []
    for layer in layers:
        frozen = copy.deepcopy(layer).eval()
        torch.manual_seed(1)
        batches = [torch.randn(2, 4, 2, 2) * 3 + 5 for _ in range(20)]
        gaps.append(sum((layer(batch) - frozen(batch)).abs().mean().item() for batch in batches))
    renorm_gap, norm_gap = gaps
    assert renorm_gap < 0.1 * norm_gap


def test_a_resumed_training_is_bit_for_bit_the_uninterrupted_one():
    torch.manual_seed(0)
    batches = [torch.randn(2, 3, 4, 4) + step for step in range(8)]
    whole, first, second = (BatchRenorm2d(3) for _ in range(3))

    def step(norm, number):
        norm.tell_progress(number / 8)
        return norm(batches[number])

    expected = [step(whole, number) for number in range(8)]
    for number in range(4):
        step(first, number)
    second.load_state_dict(first.state_dict())
    assert all(torch.equal(step(second, number), expected[number]) for number in range(4, 8))


def test_a_constant_batch_gives_finite_values_and_gradients():
    norm = BatchRenorm2d(2)
    features = torch.full((1, 2, 1, 1), 7.0, requires_grad=True)
    norm(features).sum().backward()
    assert torch.isfinite(features.grad).all()
    assert torch.isfinite(norm.running_sd).all()
