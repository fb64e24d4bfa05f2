from __future__ import annotations

import numpy as np
import openvino
import pytest
import torch
from torch import nn
from torch.nn import functional

from cellproof.checks import InputError
from cellproof.models import fcn8s


def thin(**options):
    torch.manual_seed(0)
    return fcn8s.build(**{"in_channels": 1, "out_channels": 2, "width": 2, "fc_width": 4, **options})


def make_scores_large(network):
    """Scores as different as a trained network's."""
    for layer in (network.score_fc7, network.score_pool4, network.score_pool3):
        nn.init.normal_(layer.weight)


def test_the_encoder_is_vgg_16_of_the_paper():
    with torch.device("meta"):
        network = fcn8s.build(in_channels=3, out_channels=21)
    convolutions = [layer for layer in network.encoder.modules() if isinstance(layer, nn.Conv2d)]
    widths = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    assert [layer.out_channels for layer in convolutions] == widths
    # Simonyan & Zisserman (2015), table 2: configuration D has 138 M parameters; 4,097,000 are those of its last layer.
    whole = sum(value.numel() for layer in (network.encoder, network.fc6, network.fc7) for value in layer.parameters())
    assert whole + 4_097_000 == 138_357_544


@torch.no_grad()
def test_the_receptive_field_is_exact():
    network = thin(width=1, fc_width=1, out_channels=1).eval()
    side = -(-(2 * network.receptive_field_px + 64) // 32) * 32
    reaches = []
    # Where a pixel lies in its 32 × 32 patch decides how far it acts, on either axis in the same way.
    for place in range(32):
        image = torch.zeros(1, 1, side, side)
        image[..., side // 64 * 32 + place, side // 64 * 32 + place] = torch.nan
        touched = network(image)[0, 0].isnan().nonzero() - (side // 64 * 32 + place)
        reaches.append(int(touched.abs().max()))
    assert max(reaches) == network.receptive_field_px


@pytest.mark.parametrize("factor", [2, 8])
@torch.no_grad()
def test_enlargement_starts_as_bilinear_interpolation_up_to_the_border(factor):
    torch.manual_seed(0)
    enlarge = fcn8s._Enlarge(3, factor)
    fcn8s._set_bilinear(enlarge.convolution.weight)
    scores = torch.randn(2, 3, 4, 5)
    expected = functional.interpolate(scores, scale_factor=factor, mode="bilinear", align_corners=False)
    torch.testing.assert_close(enlarge(scores), expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_logits_are_the_enlarged_sum_of_the_scores_at_three_depths():
    network = thin(out_channels=3).eval()
    make_scores_large(network)
    image = torch.randn(1, 1, 64, 96)
    pooled = [image]
    for stage in network.encoder:
        pooled.append(functional.max_pool2d(stage(pooled[-1]), 2))
    deep = functional.relu(network.fc7(functional.relu(network.fc6(pooled[5]))))

    def enlarged(scores, factor):
        return functional.interpolate(scores, scale_factor=factor, mode="bilinear", align_corners=False)

    summed = enlarged(network.score_fc7(deep), 2) + network.score_pool4(pooled[4])
    summed = enlarged(summed, 2) + network.score_pool3(pooled[3])
    torch.testing.assert_close(network(image), enlarged(summed, 8))


@pytest.mark.parametrize("norm", ["none", "batch", "batch_renorm"])
def test_every_norm_trains_in_mixed_precision_and_channels_last(norm, learn):
    network = thin(in_channels=2, out_channels=3, width=8, fc_width=32, norm=norm, dropout=0.1)
    losses = learn(network, torch.randn(2, 2, 5, 7).repeat_interleave(8, 2).repeat_interleave(8, 3))
    assert losses[-1] < 0.8 * losses[0]


@torch.no_grad()
def test_dropout_acts_in_training_only_and_is_repeated_by_its_seed(drop):
    network = thin(dropout=0.5, fc_width=32)
    make_scores_large(network)
    image = torch.randn(1, 1, 64, 64)
    drawn = drop(network, image)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(network.eval()(image), network(image))


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")  # how OpenVINO reads a network
@torch.no_grad()
def test_the_openvino_graph_of_an_fcn8s_equals_the_network_at_another_size():
    network = thin(in_channels=2, out_channels=3, norm="batch").eval()
    make_scores_large(network)
    graph = openvino.convert_model(network, example_input=torch.randn(1, 2, 32, 64))
    compiled = openvino.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    image = torch.randn(2, 2, 96, 32)
    np.testing.assert_allclose(compiled(image.numpy())[0], network(image).numpy(), rtol=0, atol=1e-4)


def test_an_fcn8s_without_memory_draws_no_weights(monkeypatch):
    for name in ("normal_", "kaiming_normal_", "zeros_"):
        monkeypatch.setattr(nn.init, name, lambda *arguments, **options: pytest.fail("drew weights"))
    with torch.device("meta"):
        assert thin().fc6.weight.is_meta


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width is 0, expected a whole number, at least 1"),
        ({"fc_width": "many"}, "fc_width is 'many', expected a whole number"),
        ({"fc_width": True}, "fc_width is True, expected a whole number"),
        ({"dropout": 1.0}, "dropout is 1.0, expected a probability"),
        ({"dropout": float("nan")}, "dropout is nan, expected a probability"),
        ({"norm": "group"}, "norm is 'group', expected one of none, batch, batch_renorm"),
    ],
)
def test_options_of_an_fcn8s_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        thin(**options)


@pytest.mark.parametrize("shape", [(1, 2, 8, 8), (1, 8, 8), (1, 1, 0, 8)])
def test_images_of_another_shape_are_refused_by_an_fcn8s(shape):
    with pytest.raises(InputError, match=r"expected \(N, 1, H, W\)"):
        thin()(torch.zeros(shape))
