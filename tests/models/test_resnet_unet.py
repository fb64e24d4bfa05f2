"""`cellproof.models.resnet_unet`: torchvision's names, weights of a classifier, and images of any channels."""

from __future__ import annotations

import hashlib
import re

import pytest
import torch

from cellproof.checks import InputError
from cellproof.models import effnet_unet, resnet_unet, unet
from cellproof.models.resnet_unet import MEAN, SD

TORCHVISION = {
    "resnet18": (120, 11_176_512, "3e41db4eb3bc5ae8fb62876bd6641dbe6fe502d5928ffa7aeb1de1c4426ec318"),
    "resnet34": (216, 21_284_672, "3d6e9094c640cf42f19e1e7730a5063c412bba7501c0190e81b16b9d039da85d"),
    "resnet50": (318, 23_508_032, "3fd989592177b1c749e47c453801c32bd0aeb3f6ac2c08c91f91894389c5e192"),
}
"""Of torchvision 0.29's state dicts without ``fc``: tensors, parameters, SHA-256 of a line "name shape" for each."""


@pytest.mark.parametrize("encoder", TORCHVISION)
def test_the_encoder_has_the_tensors_of_torchvisions_network_in_its_order(encoder):
    with torch.device("meta"):
        network = resnet_unet.build(in_channels=3, out_channels=2, encoder=encoder)
    state = network.encoder.state_dict()
    lines = "\n".join(f"{name} {tuple(value.shape)}" for name, value in state.items())
    parameters = sum(parameter.numel() for parameter in network.encoder.parameters())
    assert (len(state), parameters, hashlib.sha256(lines.encode()).hexdigest()) == TORCHVISION[encoder]


def classifier(encoder="resnet18"):
    """A state dict in torchvision's layout, with its classifier."""
    torch.manual_seed(3)
    state = resnet_unet.build(in_channels=3, out_channels=1, encoder=encoder).encoder.state_dict()
    return {**{name: value.clone() for name, value in state.items()}, "fc.weight": torch.zeros(1000, 512)}


def test_weights_of_a_classifier_fill_the_encoder_and_nothing_else():
    given = classifier()
    network = resnet_unet.build(in_channels=3, out_channels=2, stages=3)
    decoder = {name: value.clone() for name, value in network.state_dict().items() if not name.startswith("encoder")}
    assert network.load_encoder(given, source="a file") == 90
    assert all(torch.equal(value, given[name]) for name, value in network.encoder.state_dict().items())
    assert all(torch.equal(network.state_dict()[name], value) for name, value in decoder.items())


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_an_image_whose_channels_are_alike_is_seen_as_gray_colors_are(channels):
    given = classifier()
    color = resnet_unet.build(in_channels=3, out_channels=2).eval()
    own = resnet_unet.build(in_channels=channels, out_channels=2).eval()
    for network in (color, own):
        network.load_encoder(given, source="a file")
    gray = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = color.encoder(gray.expand(-1, 3, -1, -1))
        found = own.encoder(gray.expand(-1, channels, -1, -1))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_images_are_standardized_as_for_imagenet():
    seen = []
    for channels, mean, sd in ((3, MEAN, SD), (1, [sum(MEAN) / 3], [sum(SD) / 3])):
        network = resnet_unet.build(in_channels=channels, out_channels=1, stages=2, width=2).eval()
        network.encoder.conv1.register_forward_hook(lambda _, given, __: seen.append(given[0]))
        image = torch.rand(1, channels, 8, 8, generator=torch.Generator().manual_seed(0))
        network(image)
        shape = (1, channels, 1, 1)
        expected = (image - torch.tensor(mean).reshape(shape)) / torch.tensor(sd).reshape(shape)
        torch.testing.assert_close(seen.pop(), expected)


@pytest.mark.parametrize("size", [(1, 1), (7, 40), (33, 16)])
def test_images_smaller_than_the_stride_have_logits_of_their_size(size):
    network = resnet_unet.build(in_channels=1, out_channels=3, stages=4, width=2).eval()
    with torch.no_grad():
        logits = network(torch.rand(2, 1, *size))
    assert logits.shape == (2, 3, *size)
    assert logits.isfinite().all()


def test_weights_of_another_encoder_are_refused_by_name_and_change_nothing():
    network = resnet_unet.build(in_channels=1, out_channels=2, encoder="resnet18")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for given, message in (
        (classifier("resnet50"), "layer1.0.conv1.weight is of shape (64, 64, 1, 1), expected shape (64, 64, 3, 3)"),
        ({}, "conv1.weight is missing, expected shape (64, 3, 7, 7); give the weights of torchvision's resnet18"),
    ):
        with pytest.raises(InputError, match=re.escape(f"a file: {message}")):
            network.load_encoder(given, source="a file")
    lite = effnet_unet.build(in_channels=1, out_channels=2)
    with pytest.raises(InputError, match=r"_conv_stem\.weight is missing.*EfficientNet-Lite0"):
        lite.load_encoder(classifier(), source="a file")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not hasattr(unet.build(in_channels=1, out_channels=2, width=2), "load_encoder")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "resnet101"}, "encoder is 'resnet101', expected one of resnet18, resnet34, resnet50"),
        ({"stages": 5}, "stages is 5, expected 2 to 4"),
        ({"stages": 1}, "stages is 1, expected 2 to 4"),
        ({"width": 0}, "width is 0, expected a whole number, at least 1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        resnet_unet.build(in_channels=1, out_channels=2, **options)
