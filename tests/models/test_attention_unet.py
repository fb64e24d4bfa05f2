from __future__ import annotations

import torch

from cellproof.models import attention_unet


def test_the_parameter_count_is_that_of_the_widespread_implementation():
    with torch.device("meta"):
        network = attention_unet.build(in_channels=3, out_channels=1)
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 2) == 34.88


@torch.no_grad()
def test_a_closed_gate_cuts_the_skip_connection():
    torch.manual_seed(0)
    network = attention_unet.build(in_channels=1, out_channels=1, width=4, depth=2, norm="none").eval()
    image = torch.randn(1, 1, 16, 16)
    for gate in network.gates:
        gate.psi[0].weight.zero_()
        gate.psi[0].bias.fill_(-100.0)
    closed = network(image)
    network.down[0][0].weight.mul_(1)  # the skip's features stay as they are
    features = network.down[0](image)
    enlarged = network.enlarge[0](network.down[1](network.shrink(features)))
    expected = network.head(network.up[0](torch.cat([torch.zeros_like(features), enlarged], dim=1)))
    torch.testing.assert_close(closed, expected)


@torch.no_grad()
def test_attention_lies_between_0_and_1_and_is_constant_over_the_pixels_of_its_level():
    torch.manual_seed(0)
    network = attention_unet.build(in_channels=1, out_channels=2, width=4, depth=3).eval()
    maps = network.explain(torch.randn(1, 1, 31, 48))
    assert {name: map_.shape for name, map_ in maps.items()} == dict.fromkeys(
        ("attention at 1/1", "attention at 1/2"), (31, 48)
    )
    coarse = maps["attention at 1/2"]
    assert (coarse[:30:2, ::2] == coarse[1:31:2, 1::2]).all()
    assert all(0 < float(map_.min()) <= float(map_.max()) < 1 for map_ in maps.values())


def test_training_lowers_the_loss(learn):
    torch.manual_seed(0)
    losses = learn(attention_unet.build(in_channels=2, out_channels=3, width=8, depth=3), torch.randn(2, 2, 15, 18))
    assert losses[-1] < 0.8 * losses[0]
