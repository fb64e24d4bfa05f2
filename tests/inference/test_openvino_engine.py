"""Converted = original, kept = converted, and no word to the outside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("openvino")
from cellproof.checks import InputError
from cellproof.inference import openvino_engine
from cellproof.inference.openvino_engine import ConversionError, openvino_engines, openvino_from_cache

EXAMPLE = (2, 16, 16)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CELLPROOF_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("shape", [(16, 16), (36, 20), (8, 64)], ids=str)
def test_f32_equals_eager_at_every_size(
    rng: np.random.Generator, make_net: Callable[..., nn.Module], shape: tuple[int, int]
) -> None:
    batch = rng.random((1, 2, *shape), dtype=np.float32)
    (engine,) = openvino_engines([make_net()], example_shape=EXAMPLE, precision="f32", threads=1)
    with torch.inference_mode():
        expected = make_net()(torch.from_numpy(batch)).numpy()
    np.testing.assert_allclose(engine(batch), expected, atol=1e-4)
    assert engine.reason == "OpenVINO f32 on the processor: as asked"


def test_auto_decides_as_eager_does(rng: np.random.Generator, make_net: Callable[..., nn.Module]) -> None:
    batch = rng.random((1, 2, 128, 128), dtype=np.float32)
    (engine,) = openvino_engines([make_net()], example_shape=EXAMPLE)
    with torch.inference_mode():
        expected = make_net()(torch.from_numpy(batch)).numpy()
    assert (engine(batch).argmax(1) == expected.argmax(1)).mean() >= 0.995


def test_members_come_back_from_the_cache_in_their_order(
    rng: np.random.Generator, make_net: Callable[..., nn.Module]
) -> None:
    batch = rng.random((1, 2, 16, 16), dtype=np.float32)
    nets = [make_net(seed=seed) for seed in (1, 2)]
    assert openvino_from_cache("key", precision="f32") is None
    made = openvino_engines(nets, example_shape=EXAMPLE, precision="f32", cache_key="key")
    kept = openvino_from_cache("key", precision="f32")
    assert kept is not None
    expected = [engine(batch).copy() for engine in made]
    assert np.abs(expected[0] - expected[1]).max() > 0.1
    np.testing.assert_array_equal([engine(batch).copy() for engine in kept], expected)
    assert openvino_from_cache("another key") is None


def test_a_damaged_cache_is_not_used(make_net: Callable[..., nn.Module], cache: Path) -> None:
    openvino_engines([make_net()], example_shape=EXAMPLE, cache_key="key")
    (weights,) = cache.rglob("*.bin")
    weights.write_bytes(weights.read_bytes()[:-4])
    assert openvino_from_cache("key") is None


def test_a_network_that_changes_with_the_size_of_its_input_is_not_converted() -> None:
    class Fickle(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images * 2 if images.shape[-1] > 16 else images

    with pytest.raises(ConversionError, match="OpenVINO's Fickle differs from torch's by"):
        openvino_engines([Fickle()], example_shape=EXAMPLE)


def test_a_network_that_cannot_be_traced_says_so() -> None:
    class Refusing(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise KeyError("weights")

    with pytest.raises(ConversionError, match="OpenVINO cannot convert Refusing: 'weights'"):
        openvino_engines([Refusing()], example_shape=EXAMPLE)


def test_bf16_on_a_processor_without_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class OldProcessor:
        def get_property(self, device: str, name: str) -> list[str]:
            return ["FP32", "INT8"]

    monkeypatch.setattr(openvino_engine, "core", OldProcessor)
    with pytest.raises(InputError, match="does not compute bf16 natively; use precision='f32'"):
        openvino_from_cache("key", precision="bf16")


def test_nothing_is_reported_and_no_identity_is_stored(tmp_path: Path) -> None:
    script = (
        "import sys, cellproof.inference.openvino_engine as engine; engine.openvino_from_cache('no key'); "
        "print([name for name in ('openvino_telemetry', 'torch') if name in sys.modules])"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
    assert result.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_networks_on_a_part_of_the_cores_are_not_bound_to_the_first_ones(make_net: Callable[..., nn.Module]) -> None:
    (engine,) = openvino_engines([make_net()], example_shape=EXAMPLE, precision="f32", threads=1)
    compiled = engine._request.get_compiled_model()
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert compiled.get_property("ENABLE_CPU_PINNING") is False
