from __future__ import annotations

import pytest
import torch

from cellproof.checks import InputError
from cellproof.models import unetpp


def test_the_parameter_count_is_the_papers():
    # Table 2 of Zhou et al.: 9.04 M with 32…512 channels, no normalization, deep supervision.
    with torch.device("meta"):
        network = unetpp.build(in_channels=3, out_channels=1, norm="none", deep_supervision=True)
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 2) == 9.04


def test_nodes_take_all_nodes_before_them_and_the_one_below():
    network = unetpp.build(in_channels=1, out_channels=1, width=4, depth=4, norm="none")
    widths = {name: node.body[0].in_channels for name, node in network.nodes.items()}
    assert widths == {"0_1": 8, "0_2": 12, "0_3": 16, "1_1": 16, "1_2": 24, "2_1": 32}


@torch.no_grad()
def test_the_output_under_deep_supervision_is_the_mean_of_the_nested_networks():
    torch.manual_seed(0)
    network = unetpp.build(in_channels=1, out_channels=2, width=4, depth=3, norm="none", deep_supervision=True)
    image = torch.randn(1, 1, 16, 16)
    mean, *nested = network.train()(image)
    assert len(nested) == 2
    torch.testing.assert_close(mean, sum(nested) / 2)
    torch.testing.assert_close(network.eval()(image), mean)


@torch.no_grad()
def test_the_shallowest_nested_network_sees_least():
    network = unetpp.build(in_channels=1, out_channels=1, width=2, depth=3, norm="none", deep_supervision=True)
    image = torch.zeros(1, 1, 64, 64)
    image[..., 32, 32] = torch.nan
    _, shallow, deep = network.train()(image)
    # Two convolutions, a pooling, two convolutions at half size, and two again: 9 px, as a U-Net of depth 2.
    assert int((shallow[0, 0].isnan().nonzero() - 32).abs().max()) == 9
    assert int((deep[0, 0].isnan().nonzero() - 32).abs().max()) > 9 + network.stride


def test_training_lowers_the_loss(learn):
    torch.manual_seed(0)
    losses = learn(unetpp.build(in_channels=2, out_channels=3, width=8, depth=3), torch.randn(2, 2, 15, 18))
    assert losses[-1] < 0.8 * losses[0]


def test_an_unknown_norm_is_refused():
    with pytest.raises(InputError, match="norm is 'layer'"):
        unetpp.build(in_channels=1, out_channels=1, norm="layer")
