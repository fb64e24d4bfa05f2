from __future__ import annotations

import pytest
from torch import nn

from cellproof import models
from cellproof.checks import InputError


def test_names_are_the_files_without_their_parts():
    assert "unet" in models.names()
    assert not [name for name in models.names() if name.startswith("_")]


def test_an_architecture_is_loaded_by_its_file_name():
    network = models.load("unet", in_channels=2, out_channels=5, width=2, depth=2)
    assert (network.in_channels, network.head.out_channels) == (2, 5)


def test_a_stranger_architecture_is_loaded_by_its_path():
    network = models.load("torch.nn:Conv2d", in_channels=2, out_channels=3, kernel_size=1)
    assert isinstance(network, nn.Conv2d)
    assert network.out_channels == 3


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unett", {}, r"no architecture 'unett' in models/ \(there: .*unet.*'package.module:function'"),
        ("_padding", {}, "no architecture '_padding'"),
        ("unet", {"in_channels": 1, "out_channels": 1, "color": 3}, "'unet': got an unexpected keyword .*'color'"),
        ("unet", {"in_channels": 1}, "'unet': missing a required .*'out_channels'"),
        ("nowhere.at_all:build", {}, "cannot be imported: No module named 'nowhere'"),
        ("torch.nn:Convolution", {}, "cannot be imported"),
    ],
)
def test_what_cannot_be_loaded_is_refused_with_advice(name, options, message):
    with pytest.raises(InputError, match=message):
        models.load(name, **options)
