"""Torch engines compute what the module computes, and refuse what the machine lacks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from cellproof.checks import InputError
from cellproof.inference import torch_engine
from cellproof.inference.torch_engine import torch_engines


def test_f32_equals_the_module(rng: np.random.Generator, make_net: Callable[..., nn.Module]) -> None:
    batch = rng.random((2, 2, 16, 24), dtype=np.float32)
    (engine,) = torch_engines([make_net()], precision="f32", device="cpu")
    with torch.inference_mode():
        expected = make_net()(torch.from_numpy(batch)).numpy()
    np.testing.assert_allclose(engine(batch), expected, atol=1e-5)
    assert (engine.precision, engine.device, engine.reason) == (
        "f32",
        "cpu",
        "torch f32 on the processor: as asked",
    )


def test_a_network_in_training_mode_is_evaluated(rng: np.random.Generator, make_net: Callable[..., nn.Module]) -> None:
    batch = rng.random((2, 2, 8, 8), dtype=np.float32)
    (trained,) = torch_engines([make_net().train()], precision="f32", device="cpu")
    (evaluated,) = torch_engines([make_net()], precision="f32", device="cpu")
    np.testing.assert_array_equal(trained(batch), evaluated(batch))


def test_bf16_decides_alike(
    rng: np.random.Generator, make_net: Callable[..., nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_engine, "_computes_bf16", lambda device: True)  # slow but right on any processor
    batch = rng.random((1, 2, 64, 64), dtype=np.float32)
    (exact,) = torch_engines([make_net()], precision="f32", device="cpu")
    (engine,) = torch_engines([make_net()], device="cpu")
    assert engine.reason == "torch bf16 on the processor: it has native bf16"
    outputs = engine(batch)
    assert outputs.dtype == np.float32
    assert (outputs.argmax(1) == exact(batch).argmax(1)).mean() >= 0.995


def test_a_read_only_batch_is_taken_and_left_alone() -> None:
    batch = np.ones((1, 1, 2, 2), np.float32)
    batch.flags.writeable = False
    (engine,) = torch_engines([nn.Identity()], precision="f32", device="cpu")
    outputs = engine(batch)
    outputs += 1
    assert (batch == 1).all()
    assert (outputs == 2).all()


@pytest.mark.parametrize(("device", "found"), [("cuda", "no CUDA device"), ("mps", "no Apple GPU")])
def test_a_device_that_is_not_there_is_refused(device: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=f"{found}; use device='cpu'"):
        torch_engines([nn.Identity()], device=device)


def test_bf16_on_a_processor_without_it_is_refused_and_auto_takes_f32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_engine, "_computes_bf16", lambda device: False)
    with pytest.raises(InputError, match="does not compute bf16 natively; use precision='f32'"):
        torch_engines([nn.Identity()], precision="bf16", device="cpu")
    (engine,) = torch_engines([nn.Identity()], device="cpu")
    assert engine.reason == "torch f32 on the processor: it has no native bf16"


def test_a_build_without_onednn_is_not_asked_for_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: pytest.fail("asked"), raising=False)
    (engine,) = torch_engines([nn.Identity()], device="cpu")
    assert engine.precision == "f32"
