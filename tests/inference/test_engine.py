"""The choice of an engine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cellproof.checks import InputError
from cellproof.inference import engine as engine_module
from cellproof.inference import openvino_engine
from cellproof.inference.engine import choose_engines

EXAMPLE = (2, 16, 16)


@pytest.fixture(autouse=True)
def no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLPROOF_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def _never() -> list[nn.Module]:
    raise AssertionError("networks were built although they were not needed")


def test_a_second_start_builds_no_network(rng: np.random.Generator, make_net: Callable[..., nn.Module]) -> None:
    batch = rng.random((1, 2, 32, 16), dtype=np.float32)
    (first,) = choose_engines(lambda: [make_net()], example_shape=EXAMPLE, cache_key="weights")
    (second,) = choose_engines(_never, example_shape=EXAMPLE, cache_key="weights")
    assert (second.name, second.precision, second.reason) == (first.name, first.precision, first.reason)
    np.testing.assert_array_equal(second(batch), first(batch))


def test_a_damaged_cache_is_made_anew(tmp_path: Path, make_net: Callable[..., nn.Module]) -> None:
    choose_engines(lambda: [make_net()], example_shape=EXAMPLE, cache_key="weights")
    (structure,) = tmp_path.rglob("*.xml")
    structure.write_text("<net/>")
    choose_engines(lambda: [make_net()], example_shape=EXAMPLE, cache_key="weights")
    (engine,) = choose_engines(_never, example_shape=EXAMPLE, cache_key="weights")
    assert engine.name == "openvino"


def test_engines_agree(rng: np.random.Generator, make_net: Callable[..., nn.Module]) -> None:
    batch = rng.random((1, 2, 24, 40), dtype=np.float32)
    outputs = [
        choose_engines(lambda: [make_net()], example_shape=EXAMPLE, engine=name, precision="f32")[0](batch)
        for name in ("torch", "openvino")
    ]
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-4)


def test_cuda_comes_first_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        "cellproof.inference.torch_engine.torch_engines", lambda modules, **options: asked.append(options) or ()
    )
    assert choose_engines(list, example_shape=EXAMPLE) == ()
    assert asked == [{"precision": "auto", "device": "auto", "threads": None}]


def test_without_openvino_torch_runs_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "find_spec", lambda name: None)
    (engine,) = choose_engines(lambda: [nn.Identity()], example_shape=EXAMPLE)
    assert (engine.name, engine.device) == ("torch", "cpu")
    with pytest.raises(InputError, match="OpenVINO is not installed; pip install openvino"):
        choose_engines(_never, example_shape=EXAMPLE, engine="openvino")


def test_a_network_that_openvino_cannot_take_runs_in_torch(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise openvino_engine.ConversionError("OpenVINO cannot convert Strange: no such operation")

    monkeypatch.setattr(openvino_engine, "openvino_engines", refuse)
    with caplog.at_level(logging.WARNING):
        (engine,) = choose_engines(lambda: [nn.Identity()], example_shape=EXAMPLE)
    assert (engine.name, engine.device) == ("torch", "cpu")
    assert caplog.messages == ["OpenVINO cannot convert Strange: no such operation; torch runs it instead"]
    with pytest.raises(InputError, match="no such operation; use engine='torch'"):
        choose_engines(lambda: [nn.Identity()], example_shape=EXAMPLE, engine="openvino")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "openvino", "device": "cuda"}, "OpenVINO runs on the processor, not on cuda; use engine='torch'"),
        ({"engine": "openvino", "device": "mps"}, "OpenVINO runs on the processor, not on mps; use engine='torch'"),
        ({"engine": "onnx"}, "engine 'onnx' is unknown; use auto, torch, openvino"),
        ({"precision": "int4"}, "precision 'int4' is unknown; use auto, f32, bf16, int8"),
        ({"device": "tpu"}, "device 'tpu' is unknown; use auto, cpu, cuda, mps"),
        ({"device": "cuda"}, "torch finds no CUDA device; use device='cpu'"),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
def test_an_impossible_request_is_refused_with_the_cure(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_engines(lambda: [nn.Identity()], example_shape=EXAMPLE, **options)
