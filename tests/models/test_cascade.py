from __future__ import annotations

import pytest
import torch

from cellproof.checks import InputError
from cellproof.models import cascade


def tiny(**options):
    torch.manual_seed(0)
    return cascade.build(
        in_channels=2,
        out_channels=3,
        **({"first_options": "width=4;depth=2", "second_options": "width=4;depth=3"} | options),
    )


@torch.no_grad()
def test_the_second_network_reads_the_image_and_the_first_ones_probabilities():
    network = tiny().eval()
    image = torch.randn(1, 2, 16, 16)
    probabilities = network.first(image).softmax(dim=1)
    expected = network.second(torch.cat([image, probabilities], dim=1))
    torch.testing.assert_close(network(image), expected, rtol=0, atol=1e-5)
    # What the first network says acts on the result.
    network.first.head.bias.add_(torch.tensor([5.0, 0.0, 0.0]))
    assert not torch.allclose(network(image), expected)


@torch.no_grad()
def test_training_gives_the_first_networks_logits_too():
    network = tiny(first_options="width=4;depth=2;norm=none", second_options="width=4;depth=2;norm=none").train()
    image = torch.randn(1, 2, 16, 16)
    _, own = network(image)
    torch.testing.assert_close(own, network.first(image), rtol=0, atol=1e-6)


def test_channels_are_the_cascades_own_affair():
    with pytest.raises(InputError, match=r"set in_channels=2, but the network has to read 5 and give 3 channels"):
        tiny(second_options="width=4;in_channels=2")
