"""Weights of torchvision's Mask R-CNN from a file in its layout."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from cellproof import detectors
from cellproof.checks import InputError
from cellproof.detectors._published import holds_published, load_published

SMALL = {"backbone": "resnet10", "pyramid_channels": 16, "box_channels": 16, "mask_channels": 16}

pytestmark = pytest.mark.usefixtures("torchvision")


def network(classes, **options):
    return detectors.load("mask_rcnn", **{"in_channels": 3, "out_channels": classes + 4, **SMALL, **options})


def write(path, weights, *, old=False):
    renamed = {}
    for name, value in weights.items():
        if old and ".fpn." in name:
            name = name.replace(".0.weight", ".weight").replace(".0.bias", ".bias")
        renamed[name.replace("conv.0.0.", "conv.") if old and "rpn.head" in name else name] = value.clone()
    save_file(renamed, path)
    return path


@pytest.mark.parametrize("old", [False, True], ids=["today's names", "names of the first releases"])
def test_all_but_the_layers_of_the_classes_are_copied(tmp_path, old):
    torch.manual_seed(0)
    given, own = network(91), network(2)
    before = own.state_dict()["roi_heads.box_predictor.cls_score.weight"].clone()
    path = write(tmp_path / "coco.safetensors", given.state_dict(), old=old)
    assert holds_published(path)
    filled, there = load_published(own, path)
    different = [
        name
        for name, value in own.state_dict().items()
        if value.shape != given.state_dict()[name].shape or not torch.equal(value, given.state_dict()[name])
    ]
    assert there - filled == len(different) == 6
    assert {name.split(".")[1] for name in different} == {"box_predictor", "mask_predictor"}
    assert torch.equal(own.state_dict()["roi_heads.box_predictor.cls_score.weight"], before)


def test_a_gray_image_is_seen_as_in_gray_colors(tmp_path):
    torch.manual_seed(0)
    color, gray = network(2), network(2, in_channels=1)
    path = write(tmp_path / "coco.safetensors", color.state_dict())
    load_published(gray, path)
    plane = torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(
        gray.backbone.body.conv1(plane), color.backbone.body.conv1(plane.expand(-1, 3, -1, -1)), atol=1e-5, rtol=1e-5
    )


def test_a_file_of_another_backbone_is_refused_by_the_first_tensor_that_differs(tmp_path):
    path = write(tmp_path / "coco.safetensors", network(91).state_dict())
    with pytest.raises(InputError, match=r"layer1\.1\.conv1\.weight is missing, expected shape \(64, 64, 3, 3\)"):
        load_published(network(2, backbone="resnet18"), path)
    with pytest.raises(InputError, match="start a mask_rcnn only, not a Linear"):
        load_published(torch.nn.Linear(1, 1), path)
    (tmp_path / "other.safetensors").write_bytes(b"none")
    assert not holds_published(tmp_path / "other.safetensors")
