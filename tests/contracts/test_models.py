"""The contract of `cellproof.models`, run over every architecture in the folder."""

from __future__ import annotations

import io
from itertools import product

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from cellproof import models
from cellproof.models._any_size import AnySize

PARAMETERS = {
    "attention_unet": 34_877_486,
    "auto_preprocess": 14_480_525,
    "cascade": 14_481_092,
    "effnet_unet": 673_848,
    "fc_densenet": 9_314_898,
    "fcn8s": 134_270_278,
    "resnet_unet": 14_235_170,
    "unet": 7_240_258,
    "unetpp": 9_045_282,
}
"""Parameters of each architecture with its default options, 1 channel in and 2 out."""

TINY = {
    "attention_unet": {"width": 4},
    "auto_preprocess": {"first_options": "width=4;depth=3", "second_options": "width=4;depth=4"},
    "cascade": {"first_options": "width=4;depth=3", "second_options": "width=4;depth=4"},
    "effnet_unet": {"width": 6, "fine_width": 4, "blocks": 6},
    "fc_densenet": {"growth": 4, "first_width": 4, "down_layers": "2,3", "bottleneck_layers": 2},
    "fcn8s": {"width": 4, "fc_width": 16, "norm": "batch"},
    "resnet_unet": {"stages": 3, "width": 2},
    "unet": {"width": 4},
    "unetpp": {"width": 4, "deep_supervision": True},
}
"""Options that make a network thin enough for the tests below."""


def test_every_architecture_has_a_stored_parameter_count_and_tiny_options():
    assert sorted(PARAMETERS) == sorted(TINY) == models.names()


def small(name: str) -> nn.Module:
    """A thin network whose running statistics have seen a batch, in evaluation mode."""
    torch.manual_seed(0)
    network = models.load(name, in_channels=2, out_channels=3, **TINY[name])
    network.train()
    with torch.no_grad():
        network(torch.randn(4, 2, 32, 32))
    return network.eval()


@pytest.fixture(params=models.names())
def network(request: pytest.FixtureRequest) -> nn.Module:
    return small(request.param)


@pytest.mark.parametrize("name", models.names())
def test_the_parameter_count_equals_the_stored_one(name):
    with torch.device("meta"):
        network = models.load(name, in_channels=1, out_channels=2)
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2), (17, 31), (33, 64)])
@torch.no_grad()
def test_logits_are_finite_and_have_the_height_and_width_of_the_image(network, shape):
    logits = network(torch.randn(1, 2, *shape))
    assert logits.shape == (1, 3, *shape)
    assert torch.isfinite(logits).all()


@torch.no_grad()
def test_outputs_in_training_all_have_the_shape_of_the_logits(network):
    outputs = network.train()(torch.randn(2, 2, 33, 50))
    every = outputs if isinstance(outputs, tuple) else (outputs,)
    assert {output.shape for output in every} == {(2, 3, 33, 50)}
    assert isinstance(network.eval()(torch.randn(1, 2, 33, 50)), torch.Tensor)


class WithAuxiliary(AnySize):
    """A network of stride 4 whose auxiliary logits are its image."""

    def __init__(self) -> None:
        super().__init__(1, stride=4, receptive_field_px=0)

    def forward_aligned(self, image):
        return (image, 2 * image) if self.training else image


def test_auxiliary_logits_are_cropped_like_the_logits():
    image = torch.randn(1, 1, 5, 7)
    logits, auxiliary = WithAuxiliary().train()(image)
    assert torch.equal(logits, image)
    assert torch.equal(auxiliary, 2 * image)
    assert torch.equal(WithAuxiliary().eval()(image), image)


@torch.no_grad()
def test_padding_does_not_move_the_picture(network):
    # Away from the lower and right edges an odd-sized crop sees what the whole image sees there.
    side = 2 * network.receptive_field_px + 2 * network.stride
    image = torch.randn(1, 2, side, side).double()
    network.double()
    crop = network(image[..., : side - 3, : side - 5])
    keep = side - 5 - network.receptive_field_px
    torch.testing.assert_close(crop[..., :keep, :keep], network(image)[..., :keep, :keep], rtol=0, atol=1e-10)


def test_gradient_reaches_every_parameter(network):
    outputs = network.train()(torch.randn(2, 2, 48, 48))
    every = outputs if isinstance(outputs, tuple) else (outputs,)
    sum(output.square().mean() for output in every).backward()
    gradients = {name: value.grad for name, value in network.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None or not gradient.any()] == []
    assert all(gradient.isfinite().all() for gradient in gradients.values())


@torch.no_grad()
def test_evaluation_is_deterministic_bit_for_bit(network):
    image = torch.randn(2, 2, 37, 50)
    assert torch.equal(network(image), network(image))


@torch.no_grad()
def test_an_image_is_evaluated_independently_of_the_rest_of_its_batch(network):
    batch = torch.randn(3, 2, 37, 50).double()
    batch[1:] *= 100
    network.double()
    torch.testing.assert_close(network(batch)[:1], network(batch[:1]), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", models.names())
@torch.no_grad()
def test_the_state_survives_a_round_trip_bit_for_bit(name):
    network, image = small(name), torch.randn(1, 2, 32, 32)
    stored = io.BytesIO()
    torch.save(network.state_dict(), stored)
    stored.seek(0)
    torch.manual_seed(1)
    other = models.load(name, in_channels=2, out_channels=3, **TINY[name]).eval()
    assert not torch.equal(other(image), network(image))
    other.load_state_dict(torch.load(stored, weights_only=True))
    assert torch.equal(other(image), network(image))


@pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript-based ONNX export:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The feature will be removed:DeprecationWarning")  # from inside that exporter
@torch.no_grad()
def test_the_exported_graph_equals_the_network_at_sizes_it_was_not_traced_with(network):
    stored, axes = io.BytesIO(), {0: "image", 2: "row", 3: "column"}
    stride = network.stride
    torch.onnx.export(
        network,
        (torch.randn(1, 2, 2 * stride, 3 * stride),),
        stored,
        dynamo=False,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": axes, "logits": axes},
    )
    session = onnxruntime.InferenceSession(stored.getvalue(), providers=["CPUExecutionProvider"])
    for shape in ((1, 2, stride, stride), (3, 2, 4 * stride, 2 * stride)):
        image = torch.randn(shape)
        (exported,) = session.run(None, {"image": image.numpy()})
        np.testing.assert_allclose(exported, network(image).numpy(), rtol=0, atol=1e-4)


@torch.no_grad()
def test_a_changed_pixel_acts_as_far_as_the_stated_receptive_field_and_no_further(network):
    # Not-a-number spreads along every connection, however weak, and through none that is not there.
    radius, stride = network.receptive_field_px, network.stride
    side = -(-(2 * radius + 2 * stride) // stride) * stride
    reaches = []
    for row, column in product((0, stride // 2, stride - 1), repeat=2):
        row, column = side // 2 // stride * stride + row, side // 2 // stride * stride + column
        image = torch.zeros(1, 2, side, side)
        image[:, :, row, column] = torch.nan
        rows, columns = torch.nonzero(network(image).isnan().any(1)[0], as_tuple=True)
        reaches.append(int(max((rows - row).abs().max(), (columns - column).abs().max())))
    assert radius - stride <= max(reaches) <= radius


@pytest.mark.parametrize("shape", [(16, 16), (17, 31)])
@torch.no_grad()
def test_outputs_in_training_mode_are_alike_in_shape_and_evaluation_gives_logits_alone(network, shape):
    image = torch.randn(2, 2, *shape)
    outputs = network.train()(image)
    shapes = {tuple(output.shape) for output in outputs} if isinstance(outputs, tuple) else {tuple(outputs.shape)}
    assert shapes == {(2, 3, *shape)}
    assert isinstance(network.eval()(image), torch.Tensor)


@torch.no_grad()
def test_channels_last_memory_gives_the_same_logits(network):
    image = torch.randn(2, 2, 37, 50).double()
    network.double()
    expected = network(image)
    changed = network.to(memory_format=torch.channels_last)(image.to(memory_format=torch.channels_last))
    torch.testing.assert_close(changed, expected, rtol=0, atol=1e-10)
