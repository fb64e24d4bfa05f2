"""Deep features are those of the named part, the same by every engine, and of windows as of the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cellproof import models
from cellproof.data.targets import heads_of
from cellproof.inference.deep import WithDeepFeatures
from cellproof.inference.predict import predict
from cellproof.inference.torch_engine import torch_engines
from cellproof.inference.tta import EIGHT_VIEWS

HEADS = heads_of(2, [])


class Halves(nn.Module):
    """Its deepest features are the image and its square at every second pixel."""

    deepest = "coarse"

    def __init__(self) -> None:
        super().__init__()
        self.coarse = Coarse()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.coarse(images)
        return torch.cat([images, -images], dim=1)


class Coarse(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        own = images[:, :, ::2, ::2]
        return torch.cat([own, own**2], dim=1)


def expected(image):
    own = np.stack([image[0, ::2, ::2], image[0, ::2, ::2] ** 2])
    return np.concatenate([own.mean(axis=(1, 2)), own.std(axis=(1, 2))])


def test_mean_and_deviation_of_each_channel(rng):
    image = rng.random((1, 12, 16), dtype=np.float32)
    (engine,) = torch_engines([Halves()], precision="f32", device="cpu")
    maps = predict([engine], image, heads=HEADS, stride_px=4, halo_px=4)
    np.testing.assert_allclose(maps.deep, expected(image), rtol=1e-5)


def test_windows_side_by_side_give_what_the_whole_gives(rng):
    image = rng.random((1, 32, 64), dtype=np.float32)
    (engine,) = torch_engines([Halves()], precision="f32", device="cpu")
    whole = predict([engine], image, heads=HEADS, stride_px=4, halo_px=0)
    tiled = predict([engine], image, heads=HEADS, stride_px=4, halo_px=0, max_pixels=32 * 32)
    np.testing.assert_allclose(tiled.deep, whole.deep, rtol=1e-5)


def test_they_are_of_the_first_view_and_the_first_network(rng):
    image = rng.random((1, 16, 16), dtype=np.float32)
    engines = torch_engines([Halves(), Halves()], precision="f32", device="cpu")
    maps = predict(engines, image, heads=HEADS, stride_px=4, halo_px=4, views=EIGHT_VIEWS)
    np.testing.assert_allclose(maps.deep, expected(image), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "channels"),
    [
        ("effnet_unet", {"width": 8, "fine_width": 4, "blocks": 6}, 80),
        ("unet", {"width": 4, "depth": 3}, 16),
        ("resnet_unet", {"encoder": "resnet18", "stages": 2, "width": 4}, 128),
    ],
)
def test_openvino_gives_those_that_torch_gives(rng, name, options, channels, tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    from cellproof.inference.openvino_engine import openvino_engines, openvino_from_cache

    monkeypatch.setenv("CELLPROOF_CACHE", str(tmp_path))
    torch.manual_seed(0)
    network = models.load(name, in_channels=1, out_channels=2, **options).eval()
    batch = rng.random((1, 1, 64, 96), dtype=np.float32)
    with torch.inference_mode():
        kept = []
        network.get_submodule(network.deepest).register_forward_hook(lambda part, given, out: kept.append(out))
        network(torch.from_numpy(batch))
    features = kept[0][0].numpy().reshape(channels, -1)
    wanted = np.concatenate([features.mean(axis=1), features.std(axis=1)])
    openvino_engines([network], example_shape=(1, 64, 64), precision="f32", threads=1, cache_key="key")
    (engine,) = openvino_from_cache("key", precision="f32", threads=1)
    engine(batch)
    np.testing.assert_allclose(engine.deep[0], wanted, rtol=1e-3, atol=1e-3 * np.abs(wanted).max())


def test_the_network_is_left_as_it_was():
    network = Halves()
    WithDeepFeatures(network)(torch.zeros(1, 1, 4, 4))
    assert not network.coarse._forward_hooks
