"""Convolutions in 8-bit integers: exact where nothing is rounded, near elsewhere, and refused where they cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("openvino")
from cellproof.checks import InputError, UsageError
from cellproof.inference import openvino_engine
from cellproof.inference.engine import choose_engines
from cellproof.inference.openvino_engine import int8_ranges, openvino_engines, openvino_from_cache

EXAMPLE = (2, 32, 32)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CELLPROOF_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def images(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.random((2, 48, 64), dtype=np.float32) for _ in range(4)]


class Skipping(nn.Module):
    """Five convolutions, one of them depth-wise and one transposed, and a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.entrance = nn.Conv2d(2, 8, 3, padding=1)
        self.apart = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8)
        self.enlarge = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.joined = nn.Conv2d(16, 8, 3, padding=1)
        self.head = nn.Conv2d(8, 3, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        fine = torch.relu(self.entrance(images))
        coarse = self.enlarge(torch.relu(self.apart(fine)))
        result: torch.Tensor = self.head(torch.relu(self.joined(torch.cat([fine, coarse], dim=1))))
        return result


@pytest.fixture(scope="module")
def make_net() -> Callable[..., nn.Module]:
    def make(*, seed: int = 0) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Skipping().eval()

    return make


def without_vnni(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_engine, "_multiplies_int8", lambda: False)


def with_vnni(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_engine, "_multiplies_int8", lambda: True)


def test_steps_of_the_range_stay_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """The middle one of three convolutions multiplies multiples of 1/255 by -127: nothing has to be rounded."""
    with_vnni(monkeypatch)
    layers = [nn.Conv2d(1, 1, 1, bias=False) for _ in range(3)]
    for layer, weight in zip(layers, (1.0, -127.0, 1.0), strict=True):
        nn.init.constant_(layer.weight, weight)
    (engine,) = openvino_engines([nn.Sequential(*layers)], example_shape=(1, 16, 16), ranges=[((127.0, 0.0, 1.0),)])
    assert engine.precision == "int8"
    image = np.arange(256, dtype=np.float32).reshape(1, 1, 16, 16) / 255
    np.testing.assert_allclose(engine(image), -127 * image, atol=1e-4)


def test_a_convolution_is_rounded_to_the_steps_of_its_range(monkeypatch: pytest.MonkeyPatch) -> None:
    with_vnni(monkeypatch)
    layers = [nn.Conv2d(1, 1, 1, bias=False) for _ in range(3)]
    for layer in layers:
        nn.init.ones_(layer.weight)
    (engine,) = openvino_engines([nn.Sequential(*layers)], example_shape=(1, 16, 16), ranges=[((1.0, 0.0, 1.0),)])
    image = np.linspace(0, 1.5, 256, dtype=np.float32).reshape(1, 1, 16, 16)
    np.testing.assert_allclose(engine(image), np.rint(np.minimum(image, 1) * 255) / 255, atol=0.51 / 255)
    assert engine(image).max() == pytest.approx(1.0, abs=1e-3)  # what lies above the range is cut


def test_int8_is_near_f32(
    make_net: Callable[..., nn.Module], images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_vnni(monkeypatch)
    ranges = int8_ranges(make_net(), images, example_shape=EXAMPLE)
    layers = dict(make_net().named_children())
    # Neither the one that reads the image nor the result.
    marks = [float(next(layers[name].parameters()).detach().abs().sum()) for name in ("apart", "enlarge", "joined")]
    assert sorted(mark for mark, _, _ in ranges) == pytest.approx(sorted(marks), rel=1e-4)
    assert all(low < high for _, low, high in ranges)
    (rounded,) = openvino_engines([make_net()], example_shape=EXAMPLE, ranges=[ranges], threads=1)
    (exact,) = openvino_engines([make_net()], example_shape=EXAMPLE, precision="f32", threads=1)
    found, expected = rounded(images[0][None]).copy(), exact(images[0][None]).copy()
    assert 0 < np.abs(found - expected).mean() < 0.05 * expected.std()
    assert "multiplies 8-bit integers natively" in rounded.reason


def test_ranges_cover_what_convolutions_are_given(images: list[np.ndarray]) -> None:
    layers: list[nn.Module] = [nn.Conv2d(2, 2, 1), nn.Tanh(), nn.Conv2d(2, 2, 1), nn.Conv2d(2, 1, 1)]
    nn.init.constant_(next(layers[0].parameters()), 0.8)
    network = nn.Sequential(*layers).eval()
    given: list[np.ndarray] = []
    layers[2].register_forward_hook(lambda _, inputs, output: given.append(inputs[0].detach().numpy()))
    with torch.inference_mode():
        network(torch.from_numpy(np.stack(images)))
    ((_, low, high),) = int8_ranges(network, images, example_shape=EXAMPLE)
    assert low == pytest.approx(given[0].min(), abs=0.05)
    assert high == pytest.approx(given[0].max(), abs=0.05)


def test_rounded_networks_come_back_from_the_cache(
    make_net: Callable[..., nn.Module], images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_vnni(monkeypatch)
    nets = [make_net(seed=seed) for seed in (1, 2)]
    ranges = [int8_ranges(net, images, example_shape=EXAMPLE) for net in nets]
    made = openvino_engines(nets, example_shape=EXAMPLE, cache_key="key", ranges=ranges)
    expected = [engine(images[0][None]).copy() for engine in made]
    kept = openvino_from_cache("key", ranges=ranges)
    assert kept is not None
    assert [engine.precision for engine in kept] == ["int8", "int8"]
    np.testing.assert_array_equal([engine(images[0][None]).copy() for engine in kept], expected)
    plain = openvino_from_cache("key", precision="f32", ranges=ranges)
    assert plain is not None
    assert [engine.precision for engine in plain] == ["f32", "f32"]


@pytest.mark.parametrize("kept", [False, True], ids=["made", "from the cache"])
def test_ranges_of_another_network_are_noticed(
    make_net: Callable[..., nn.Module], images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    with_vnni(monkeypatch)
    ranges = [int8_ranges(make_net(), images, example_shape=EXAMPLE)]
    for wrong in (
        ranges[0][:-1],
        tuple((2 * mark, low, high) for mark, low, high in ranges[0]),
        tuple((mark, low / 10, high / 10) for mark, low, high in ranges[0]),
    ):
        (engine,) = openvino_engines([make_net()], example_shape=EXAMPLE, cache_key=str(wrong), ranges=[wrong])
        if kept:
            (engine,) = openvino_from_cache(str(wrong), ranges=[wrong]) or ()
        assert engine.precision in ("f32", "bf16")
        assert "int8 would be faster, but the ranges in the model's file do not fit" in engine.reason
        with pytest.raises(InputError, match="int8 was asked for, but the ranges"):
            openvino_engines([make_net()], example_shape=EXAMPLE, precision="int8", ranges=[wrong])


def test_a_processor_without_vnni_says_so(
    make_net: Callable[..., nn.Module], images: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_vnni(monkeypatch)
    ranges = [int8_ranges(make_net(), images, example_shape=EXAMPLE)]
    (engine,) = openvino_engines([make_net()], example_shape=EXAMPLE, ranges=ranges)
    assert engine.precision in ("f32", "bf16")
    assert engine.reason.endswith("not int8, for it has no VNNI")
    (asked,) = openvino_engines([make_net()], example_shape=EXAMPLE, precision="int8", ranges=ranges)
    assert asked.precision == "int8"


def test_a_file_without_ranges_says_so(make_net: Callable[..., nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    with_vnni(monkeypatch)
    (engine,) = openvino_engines([make_net()], example_shape=EXAMPLE)
    assert engine.precision in ("f32", "bf16")
    assert engine.reason.endswith("not int8, for the model's file holds no ranges for it")
    with pytest.raises(InputError, match="holds no ranges for int8; use precision='auto'"):
        openvino_engines([make_net()], example_shape=EXAMPLE, precision="int8")


def test_torch_has_no_int8(make_net: Callable[..., nn.Module]) -> None:
    with pytest.raises(UsageError, match="only OpenVINO on the processor computes in int8"):
        choose_engines(lambda: [make_net()], example_shape=EXAMPLE, engine="torch", precision="int8")
