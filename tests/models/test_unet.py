from __future__ import annotations

from itertools import product

import numpy as np
import openvino
import pytest
import torch
from torch import nn

from cellproof.checks import InputError
from cellproof.models import unet
from cellproof.models._double_convolution import DoubleConvolution
from cellproof.models._padding import pad_to_stride


def number_of_parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # The paper's network, with 1 channel in and 2 out.
        ({"width": 64, "max_width": 1024, "norm": "none"}, 31_030_658),
        # The widespread batch-normalized half of it (mateuszbuda/brain-segmentation-pytorch), 3 in and 1 out.
        ({"in_channels": 3, "out_channels": 1}, 7_763_041),
    ],
)
def test_parameter_counts_equal_the_published_ones(options, expected):
    options = {"in_channels": 1, "out_channels": 2, "upsample": "transposed", **options}
    with torch.device("meta"):
        assert number_of_parameters(unet.build(**options)) == expected


def test_widths_double_down_to_the_largest():
    network = unet.build(in_channels=1, out_channels=1, width=3, depth=4, max_width=10)
    assert [block.body[0].out_channels for block in network.down] == [3, 6, 10, 10]


@pytest.mark.parametrize(("depth", "stride"), [(1, 1), (2, 2), (4, 8)])
@pytest.mark.parametrize("upsample", ["interpolate", "transposed"])
@torch.no_grad()
def test_the_receptive_field_is_exact_at_every_depth(depth, stride, upsample):
    network = unet.build(in_channels=1, out_channels=1, width=2, depth=depth, upsample=upsample).eval()
    assert network.stride == stride
    side = 2 * (network.receptive_field_px // stride + 2) * stride
    reaches = []
    for row, column in product(range(stride), repeat=2):
        image = torch.zeros(1, 1, side, side)
        image[..., side // 2 + row, side // 2 + column] = torch.nan
        touched = network(image)[0, 0].isnan().nonzero() - torch.tensor([side // 2 + row, side // 2 + column])
        reaches.append(int(touched.abs().max()))
    assert max(reaches) == network.receptive_field_px


def test_the_classic_network_of_depth_two_reaches_nine_pixels():
    # By hand: 2 pixels of the last two convolutions, 2 coarse = 4 of the middle, 2 of the first, 1 of the pooling.
    network = unet.build(in_channels=1, out_channels=1, width=2, depth=2, upsample="transposed")
    assert network.receptive_field_px == 9


@pytest.mark.parametrize("norm", ["none", "batch", "batch_renorm", "group"])
@pytest.mark.parametrize("upsample", ["interpolate", "transposed"])
@pytest.mark.parametrize("residual", [False, True])
def test_every_combination_trains_in_mixed_precision_and_channels_last(norm, upsample, residual, learn):
    torch.manual_seed(0)
    network = unet.build(
        in_channels=2, out_channels=3, width=8, depth=3, norm=norm, upsample=upsample, residual=residual, dropout=0.1
    )
    losses = learn(network, torch.randn(2, 2, 15, 18))
    assert losses[-1] < 0.8 * losses[0]


@torch.no_grad()
def test_activations_keep_their_variance_at_the_start():
    torch.manual_seed(0)
    network = unet.build(in_channels=1, out_channels=8, width=32, depth=3, norm="none", upsample="transposed")
    assert 0.2 < float(network(torch.randn(1, 1, 64, 64)).std()) < 5


@torch.no_grad()
def test_a_residual_block_whose_convolutions_are_zero_passes_its_input_on():
    block = DoubleConvolution(3, 3, norm="none", residual=True)
    for value in block.body.parameters():
        value.zero_()
    features = torch.rand(1, 3, 5, 5)
    assert torch.equal(block(features), features)


def test_a_network_without_memory_draws_no_weights(monkeypatch):
    # torch would import its compiler for it, which takes longer than all the rest.
    for name in ("normal_", "kaiming_normal_"):
        monkeypatch.setattr(nn.init, name, lambda *arguments, **options: pytest.fail("drew weights"))
    with torch.device("meta"):
        network = unet.build(in_channels=1, out_channels=1, width=2, upsample="transposed")
    assert number_of_parameters(network) == 30_715


def test_dropout_acts_in_training_only_and_in_the_two_deepest_blocks():
    network = unet.build(in_channels=1, out_channels=1, width=2, depth=4, dropout=0.5)
    assert [block.dropout.p for block in network.down] == [0, 0, 0.5, 0.5]
    assert all(block.dropout.p == 0 for block in network.up)
    assert all(not module.training for module in network.eval().modules() if isinstance(module, nn.Dropout2d))


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")  # how OpenVINO reads a network
@torch.no_grad()
def test_the_openvino_graph_equals_the_network_and_neither_pads_nor_crops():
    torch.manual_seed(0)
    network = unet.build(in_channels=2, out_channels=3, width=4, depth=3).eval()
    graph = openvino.convert_model(network, example_input=torch.randn(1, 2, 8, 12))
    assert not {operation.get_type_name() for operation in graph.get_ops()} & {"Pad", "Slice", "StridedSlice"}
    compiled = openvino.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    image = torch.randn(2, 2, 20, 16)
    np.testing.assert_allclose(compiled(image.numpy())[0], network(image).numpy(), rtol=0, atol=1e-5)


def test_short_axes_are_repeated_and_long_ones_mirrored():
    image = torch.tensor([[1.0, 2, 3, 4, 5]])[None, None]
    padded = pad_to_stride(image, 4)[0, 0]
    assert padded.tolist() == [[1, 2, 3, 4, 5, 4, 3, 2]] * 4


def test_an_aligned_image_is_not_copied():
    image = torch.zeros(1, 1, 8, 16)
    assert pad_to_stride(image, 8) is image


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, "depth is 0, expected a whole number, at least 1"),
        ({"depth": 10**9}, "depth is 1000000000, expected at most 12"),
        ({"in_channels": 0}, "in_channels is 0"),
        ({"dropout": 1.0}, "dropout is 1.0, expected a probability"),
        ({"norm": "layer"}, "norm is 'layer', expected one of none, batch, batch_renorm, group"),
        ({"upsample": "nearest"}, "upsample is 'nearest', expected one of interpolate, transposed"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        unet.build(**{"in_channels": 1, "out_channels": 1, **options})


@pytest.mark.parametrize("shape", [(1, 2, 8, 8), (1, 8, 8), (1, 1, 0, 8)])
def test_images_of_another_shape_are_refused(shape):
    network = unet.build(in_channels=1, out_channels=1, width=2, depth=2)
    with pytest.raises(InputError, match=r"expected \(N, 1, H, W\)"):
        network(torch.zeros(shape))
