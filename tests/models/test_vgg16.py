from __future__ import annotations

import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from cellproof.checks import InputError
from cellproof.models import unet
from cellproof.models._vgg16 import holds_vgg16, load_vgg16
from cellproof.models.fcn8s import build
from cellproof.workflows.train.start import start_from

WIDTHS = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")
"""Of VGG-16's convolutions, with its poolings: Simonyan & Zisserman (2015), table 1, D."""


class Oracle(nn.Module):
    """VGG-16 with the layers and names of torchvision's, an eighth as wide."""

    def __init__(self, *, norm):
        super().__init__()
        layers, before = [], 3
        for width in WIDTHS:
            if width == "M":
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers.append(nn.Conv2d(before, width // 8, 3, padding=1))
            layers += [nn.BatchNorm2d(width // 8)] if norm else []
            layers.append(nn.ReLU())
            before = width // 8
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(64 * 49, 12),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(12, 12),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(12, 5),
        )


@pytest.fixture(params=[False, True], ids=["vgg16", "vgg16_bn"])
def oracle(request):
    """A network in use, all of whose numbers are random, running statistics included."""
    torch.manual_seed(0)
    network = Oracle(norm=request.param)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=0.3)
        if isinstance(layer, nn.BatchNorm2d):
            for value in (layer.weight.data, layer.running_var):
                nn.init.uniform_(value, 0.5, 1.5)
            for value in (layer.bias.data, layer.running_mean):
                nn.init.normal_(value, std=0.3)
    return network.eval()


@pytest.fixture
def file(oracle, tmp_path):
    save_file(oracle.state_dict(), tmp_path / "vgg.safetensors")
    return tmp_path / "vgg.safetensors"


def norms_of(oracle):
    return ("batch", "batch_renorm") if isinstance(oracle.features[1], nn.BatchNorm2d) else ("none",)


def thin(norm, **options):
    torch.manual_seed(1)
    network = build(**{"in_channels": 3, "out_channels": 2, "width": 8, "fc_width": 12, "norm": norm, **options})
    return network.eval()


def encode(network, image):
    """The maps after each pooling."""
    pooled = [image]
    for stage in network.encoder:
        pooled.append(network.shrink(stage(pooled[-1])))
    return pooled[1:]


@torch.no_grad()
def test_the_maps_of_every_depth_equal_those_of_the_network_that_the_weights_come_from(oracle, file):
    image, expected = torch.rand(2, 3, 64, 96), []
    features = image
    for layer in oracle.features:
        features = layer(features)
        if isinstance(layer, nn.MaxPool2d):
            expected.append(features)
    for norm in norms_of(oracle):
        network = thin(norm)
        load_vgg16(network, file)
        for maps, wanted in zip(encode(network, image), expected, strict=True):
            torch.testing.assert_close(maps, wanted, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_fc6_and_fc7_in_the_middle_of_a_picture_of_224_pixels_are_the_fully_connected_layers(oracle, file):
    image = torch.rand(1, 3, 224, 224)
    expected = oracle.classifier[:5](oracle.features(image).flatten(1))
    network = thin(norms_of(oracle)[0])
    load_vgg16(network, file)
    convolved = network.fc7(network.fc6(encode(network, image)[-1]).relu()).relu()
    torch.testing.assert_close(convolved[:, :, 3, 3], expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_network_of_one_channel_sees_gray_as_the_color_network_does(oracle, file):
    gray = torch.rand(1, 1, 32, 64)
    color_network, gray_network = thin(norms_of(oracle)[0]), thin(norms_of(oracle)[0], in_channels=1)
    for network in (color_network, gray_network):
        load_vgg16(network, file)
    color = encode(color_network, gray.expand(-1, 3, -1, -1))
    for maps, wanted in zip(encode(gray_network, gray), color, strict=True):
        torch.testing.assert_close(maps, wanted, rtol=1e-4, atol=1e-4)


def test_it_says_how_many_tensors_were_filled_and_leaves_the_scores_alone(oracle, file):
    for norm in norms_of(oracle):
        network = thin(norm)
        before = {name: value.clone() for name, value in network.state_dict().items()}
        filled, there = load_vgg16(network, file)
        after = network.state_dict()
        assert there == len(after)
        assert filled == 13 * (2 if norm == "none" else 5) + 4
        same = {name for name, value in after.items() if torch.equal(value, before[name])}
        assert {name.split(".")[0] for name in same} == {
            *("score_fc7", "score_pool4", "score_pool3", "enlarge_fc7", "enlarge_pool4", "enlarge_pool3"),
            *([] if norm == "none" else ["encoder"]),
        }
        assert not [name for name in same if name.startswith("encoder") and not name.endswith(("tracked", "steps"))]


@pytest.mark.parametrize("without", ["another width", "no classifier"])
def test_fc6_and_fc7_stay_random_where_the_file_has_none_of_their_width(oracle, file, without):
    if without == "no classifier":
        tensors = {name: value for name, value in load_file(file).items() if name.startswith("features")}
        save_file(tensors, file)
    network = thin(norms_of(oracle)[0], fc_width=13 if without == "another width" else 12)
    before = network.fc6.weight.clone()
    load_vgg16(network, file)
    assert torch.equal(network.fc6.weight, before)
    assert torch.equal(network.encoder[4][0].weight, load_file(file)[last_stage(oracle)])


def last_stage(oracle):
    return "features.34.weight" if norms_of(oracle)[0] == "batch" else "features.24.weight"


def test_a_recipe_starts_from_such_a_file(oracle, file):
    assert holds_vgg16(file)
    network, same = thin(norms_of(oracle)[0]), thin(norms_of(oracle)[0])
    assert start_from(network, str(file)) == load_vgg16(same, file)
    assert all(torch.equal(value, same.state_dict()[name]) for name, value in network.state_dict().items())


def test_the_other_kind_of_vgg_16_is_refused(oracle, file):
    other = "none" if norms_of(oracle)[0] == "batch" else "batch"
    with pytest.raises(
        InputError, match="an fcn8s without a norm takes torchvision's vgg16, one with a norm its vgg16_bn"
    ):
        load_vgg16(thin(other), file)


def test_missing_and_misshapen_tensors_are_named_and_nothing_is_changed(oracle, file):
    norm = norms_of(oracle)[0]
    network = thin(norm)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    tensors = load_file(file)
    missing = {name: value for name, value in tensors.items() if name != last_stage(oracle)}
    misshapen = {**tensors, "classifier.3.weight": torch.zeros(12, 7)}
    for changed, message in (
        (missing, f"{last_stage(oracle)} is missing, expected shape (64, 64, 3, 3)"),
        (misshapen, "classifier.3.weight is of shape (12, 7), expected shape (12, 12)"),
    ):
        save_file(changed, file)
        with pytest.raises(InputError, match=re.escape(message)):
            load_vgg16(network, file)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    save_file(tensors, file)
    with pytest.raises(
        InputError, match=re.escape("features.0.weight is of shape (8, 3, 3, 3), expected shape (4, 3, 3, 3)")
    ):
        load_vgg16(thin(norm, width=4), file)


def test_networks_that_cannot_take_the_weights_are_refused(oracle, file):
    with pytest.raises(InputError, match="VGG-16 reads 1 or 3 channels, the network 2"):
        load_vgg16(thin(norms_of(oracle)[0], in_channels=2), file)
    with pytest.raises(InputError, match="weights of VGG-16, which start an fcn8s only, not a UNet"):
        load_vgg16(unet.build(in_channels=3, out_channels=2, width=2), file)


def test_a_pickle_is_never_opened(tmp_path):
    path = tmp_path / "vgg16.pth"
    torch.save({"features.0.weight": torch.zeros(8, 3, 3, 3)}, path)
    assert not holds_vgg16(path)
    with pytest.raises(InputError, match=r"vgg16.pth: no safetensors file .*a pickled .pth is never opened"):
        load_vgg16(thin("none"), path)


def test_other_files_hold_no_vgg_16(tmp_path):
    save_file({"member0.head.weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    assert not holds_vgg16(tmp_path / "model.safetensors")
    assert not holds_vgg16(tmp_path / "nowhere.safetensors")
