from __future__ import annotations

import numpy as np
import openvino
import pytest
import torch
from torch import nn
from torch.nn import functional

from cellproof.checks import InputError
from cellproof.models import fc_densenet


def thin(**options):
    torch.manual_seed(0)
    defaults = {"growth": 2, "first_width": 3, "down_layers": "1,2", "bottleneck_layers": 2}
    return fc_densenet.build(**{"in_channels": 1, "out_channels": 2, **defaults, **options})


@pytest.fixture(scope="module")
def published():
    """FC-DenseNet103 as trained on CamVid, without memory."""
    with torch.device("meta"):
        return fc_densenet.build(in_channels=3, out_channels=11)


def convolutions_of(network):
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]


def test_it_has_103_convolutions(published):
    assert len(convolutions_of(published)) == 103


def test_it_has_the_published_number_of_parameters(published):
    # Jégou et al. (2017), table 3: 9.4 M.
    assert sum(value.numel() for value in published.parameters()) == pytest.approx(9.4e6, rel=0.01)


def test_the_channels_after_each_block_are_those_of_the_paper(published):
    # Jégou et al. (2017), table 2. It gives 578 where growth makes 160 + 304 + 7 · 16 = 576.
    seen = []
    for block in (*published.down, published.bottleneck, *published.up):
        block.register_forward_hook(lambda _, given, added: seen.append(given[0].shape[1] + added.shape[1]))
    published(torch.empty(2, 3, 32, 32, device="meta"))
    assert seen == [112, 192, 304, 464, 656, 896, 1088, 816, 576, 384, 256]
    layers, skips, added = [4, 5, 7, 10, 12], [], 15 * 16
    expected = [48]
    for number in layers:
        expected.append(expected[-1] + 16 * number)
        skips.append(expected[-1])
    expected.append(expected[-1] + added)
    for number in reversed(layers):
        expected.append(added + skips.pop() + 16 * number)
        added = 16 * number
    assert seen == expected[1:]


def test_a_layer_is_norm_relu_convolution_dropout_and_a_transition_pools(published):
    layer = [type(part).__name__ for part in published.down[0].layers[0]]
    assert layer == ["BatchNorm2d", "ReLU", "Conv2d", "Dropout"]
    transition = [type(part).__name__ for part in published.shrink[0].modules() if not list(part.children())]
    assert transition == ["BatchNorm2d", "ReLU", "Conv2d", "Dropout", "MaxPool2d"]
    kernels = {layer.kernel_size for layer in published.shrink.modules() if isinstance(layer, nn.Conv2d)}
    assert kernels == {(1, 1)}
    assert {layer.p for layer in published.modules() if isinstance(layer, nn.Dropout)} == {0.2}


def test_only_the_maps_that_a_block_added_are_enlarged(published):
    assert [layer.in_channels for layer in published.enlarge] == [240, 192, 160, 112, 80]
    assert {(layer.kernel_size, layer.stride) for layer in published.enlarge} == {((3, 3), (2, 2))}


@torch.no_grad()
def test_a_dense_layer_reads_the_input_and_all_maps_before_it():
    torch.manual_seed(0)
    block = fc_densenet._DenseBlock(3, 2, layers=3, dropout=0.2, norm="none").eval()
    features = torch.randn(1, 3, 5, 6)
    stack = features.clone()
    for layer in block.layers:
        convolution = layer[1]
        new = functional.conv2d(stack.relu(), convolution.weight, convolution.bias, padding=1)
        stack = torch.cat([stack, new], dim=1)
    kept = features.clone()
    torch.testing.assert_close(block(features), stack[:, 3:])
    assert torch.equal(features, kept)


@pytest.mark.parametrize(("down_layers", "bottleneck_layers"), [("1", 1), ("2,1", 3), ("1, 1, 2", 1)])
@torch.no_grad()
def test_the_receptive_field_of_dense_blocks_is_exact(down_layers, bottleneck_layers):
    network = thin(down_layers=down_layers, bottleneck_layers=bottleneck_layers).eval()
    stride = network.stride
    assert stride == 2 ** (down_layers.count(",") + 1)
    middle = (network.receptive_field_px // stride + 2) * stride
    reaches = []
    for place in range(stride):
        image = torch.zeros(1, 1, 2 * middle, 2 * middle)
        image[..., middle + place, middle + place] = torch.nan
        touched = network(image)[0].isnan().any(0).nonzero() - (middle + place)
        reaches.append(int(touched.abs().max()))
    assert max(reaches) == network.receptive_field_px


def test_a_gradient_reaches_the_first_layer_of_the_published_depth():
    torch.manual_seed(0)
    network = fc_densenet.build(in_channels=1, out_channels=2, growth=2, first_width=2).train()
    network(torch.randn(1, 1, 64, 64)).square().mean().backward()
    first, last = network.first.weight.grad.norm(), network.head.weight.grad.norm()
    # Neither vanished nor exploded over 103 convolutions.
    assert 1e-2 < float(first / last) < 1e2


@pytest.mark.parametrize("norm", ["none", "batch", "batch_renorm"])
def test_every_norm_of_an_fc_densenet_trains_in_mixed_precision_and_channels_last(norm, learn):
    network = thin(in_channels=2, out_channels=3, growth=8, first_width=8, norm=norm)
    losses = learn(network, torch.randn(2, 2, 15, 18))
    assert losses[-1] < 0.8 * losses[0]


@torch.no_grad()
def test_dropout_of_dense_layers_acts_in_training_only_and_is_repeated_by_its_seed(drop):
    network = thin(norm="none", dropout=0.5)
    image = torch.randn(1, 1, 16, 16)
    drawn = drop(network, image)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(network.eval()(image), network(image))


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")  # how OpenVINO reads a network
@torch.no_grad()
def test_the_openvino_graph_of_an_fc_densenet_equals_the_network_at_another_size():
    network = thin(in_channels=2, out_channels=3).eval()
    graph = openvino.convert_model(network, example_input=torch.randn(1, 2, 8, 12))
    compiled = openvino.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    image = torch.randn(2, 2, 20, 16)
    np.testing.assert_allclose(compiled(image.numpy())[0], network(image).numpy(), rtol=0, atol=1e-5)


def test_an_fc_densenet_without_memory_draws_no_weights(monkeypatch):
    # torch's own layers draw as for a leaky ReLU, on the meta device too.
    def draw(weight, *, nonlinearity="leaky_relu", **options):
        assert nonlinearity == "leaky_relu"

    monkeypatch.setattr(nn.init, "kaiming_uniform_", draw)
    with torch.device("meta"):
        assert thin().first.weight.is_meta
    with pytest.raises(AssertionError, match="relu"):
        thin()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"growth": 0}, "growth is 0, expected a whole number, at least 1"),
        ({"down_layers": ""}, "down_layers is '', expected whole numbers with commas between, such as '4,5,7,10,12'"),
        ({"down_layers": "4,,5"}, "down_layers is '4,,5', expected whole numbers"),
        ({"down_layers": "4;5"}, "down_layers is '4;5', expected whole numbers"),
        ({"down_layers": "4,-5"}, "down_layers is '4,-5', expected whole numbers"),
        ({"down_layers": "²"}, "down_layers is '²', expected whole numbers"),
        ({"down_layers": 4}, "down_layers is 4, expected whole numbers"),
        ({"down_layers": "4,0"}, "down_layers is 0, expected a whole number, at least 1"),
        ({"down_layers": "4,1000000000"}, "down_layers has a block of 1000000000 layers, expected at most 100"),
        ({"down_layers": ",".join("1" * 12)}, "down_layers has 12 blocks, expected at most 11"),
        ({"bottleneck_layers": 10**9}, "bottleneck_layers has a block of 1000000000 layers"),
        ({"dropout": -0.1}, "dropout is -0.1, expected a probability"),
        ({"norm": "layer"}, "norm is 'layer', expected one of none, batch, batch_renorm"),
    ],
)
def test_options_of_an_fc_densenet_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        thin(**options)
