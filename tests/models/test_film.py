"""What a network is told by constant channels: modulation, and dropout after every convolution."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cellproof.checks import InputError
from cellproof.models import unet
from cellproof.models._film import Film, told_of


def conditioned(**options):
    torch.manual_seed(0)
    return unet.build(in_channels=3, out_channels=2, width=4, depth=3, conditioning="film", conditions=2, **options)


def told(image, *values):
    planes = torch.tensor(values)[None, :, None, None].expand(len(image), -1, *image.shape[2:])
    return torch.cat([image, planes], dim=1)


def test_modulation_scales_and_shifts_each_channel_by_what_is_told():
    film = Film(2, 3)
    with torch.no_grad():
        film.numbers.weight.copy_(torch.tensor([[1.0, 0], [0, 2], [0, 0], [0, 0], [3, 0], [0, 4]]))
    found = film(torch.ones(1, 3, 1, 1), torch.tensor([[1.0, 0.5]]))
    torch.testing.assert_close(found.flatten(), torch.tensor([2.0, 1 + 1 + 3, 1 + 2]))


@torch.no_grad()
def test_before_training_it_makes_no_difference_what_is_told_and_afterwards_it_does():
    network, image = conditioned().eval(), torch.randn(2, 1, 16, 20)
    torch.testing.assert_close(network(told(image, 1.0, 0.0)), network(told(image, 0.0, 0.0)))
    nn.init.normal_(network.films[0].numbers.weight)
    assert not torch.allclose(network(told(image, 1.0, 0.0)), network(told(image, 0.0, 1.0)), atol=1e-3)


def test_a_gradient_reaches_every_modulation():
    network, image = conditioned(), torch.randn(2, 1, 16, 16)
    network(told(image, 1.0, 0.5)).square().mean().backward()
    assert all(film.numbers.weight.grad.abs().max() > 0 for film in network.films)
    assert len(network.films) == 5  # three blocks down, two up


def test_what_is_told_outlives_padding_with_zeros():
    image = nn.functional.pad(told(torch.zeros(1, 1, 4, 4), 1.0, 0.0), (0, 3, 0, 3))
    assert told_of(image, 2).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("conditions", [0, 3])
def test_modulation_needs_something_told_and_something_seen(conditions):
    with pytest.raises(InputError, match=r"conditions is .*expected 1 to 2 for film and 3 channels"):
        unet.build(in_channels=3, out_channels=2, conditioning="film", conditions=conditions)


def test_single_values_are_dropped_after_each_convolution_in_training_only():
    network = unet.build(in_channels=1, out_channels=1, width=4, depth=2, norm="none", unit_dropout=0.5)
    plain = unet.build(in_channels=1, out_channels=1, width=4, depth=2, norm="none")
    dropouts = [module for module in network.modules() if isinstance(module, nn.Dropout) and module.p == 0.5]
    assert len(dropouts) == 6  # two in each of three blocks
    plain.load_state_dict(network.state_dict())
    image = torch.randn(1, 1, 16, 16)
    torch.testing.assert_close(network.eval()(image), plain.eval()(image))
    network.train()
    block = network.down[0]  # convolution, its activation with the dropout, convolution
    before = nn.functional.relu(block.body[0](image))
    after = block.body[1](block.body[0](image))
    kept = after > 0
    torch.testing.assert_close(after[kept], 2 * before[kept])
    assert 0.4 < kept.sum() / (before > 0).sum() < 0.6
