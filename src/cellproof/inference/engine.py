"""What runs a network, and the choice of it.

torch and OpenVINO are imported only when they are used: with an OpenVINO engine from the cache, torch never is.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from logging import getLogger
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from ..checks import InputError, UsageError

if TYPE_CHECKING:
    from torch import nn

EngineName = Literal["auto", "torch", "openvino"]
Precision = Literal["auto", "f32", "bf16", "int8"]
Device = Literal["auto", "cpu", "cuda", "mps"]

_CHOICES = {
    "engine": ("auto", "torch", "openvino"),
    "precision": ("auto", "f32", "bf16", "int8"),
    "device": ("auto", "cpu", "cuda", "mps"),
}
_LOG = getLogger(__name__)


class Engine(Protocol):
    """A network, ready to run.

    Attributes:
        name: "torch" or "openvino".
        precision: "f32", "bf16" or "int8", of the arithmetic; arrays are float32 either way.
        device: "cpu", "cuda" or "mps".
        reason: Why this one, as a sentence for a person.
        bytes_per_pixel: Memory that a pixel of a window takes while the network runs, measured on a
            U-Net with 32 channels at full resolution.
        deep: (N, F) deep features of the last batch, see `WithDeepFeatures`; None where the network gives none.
    """

    name: str
    precision: str
    device: str
    reason: str
    bytes_per_pixel: int
    deep: np.ndarray | None

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the network.

        Args:
            batch: (N, C, H, W) float32, H and W multiples of the network's stride.

        Returns:
            (N, K, H, W) float32. The array is the caller's to overwrite, until the next call.
        """
        ...


def choose_engines(
    make_modules: Callable[[], Sequence[nn.Module]],
    *,
    example_shape: tuple[int, int, int],
    engine: EngineName = "auto",
    precision: Precision = "auto",
    device: Device = "auto",
    threads: int | None = None,
    cache_key: str | None = None,
    ranges: Sequence[Sequence[Sequence[float]]] = (),
) -> tuple[Engine, ...]:
    """Make one engine for each network of a model.

    "auto" takes torch where there is a CUDA device, else OpenVINO on the processor, else torch; and int8 where OpenVINO
    has ranges and the processor is fast with it, else bf16 where the device computes with it natively, else f32.

    Args:
        make_modules: Builds the networks, which then belong to the engines; called only when needed.
        example_shape: (C, H, W) of an input that the networks take, H and W multiples of their stride.
        engine: Which engine.
        precision: Which arithmetic.
        device: Where it runs.
        threads: Threads on the processor; None leaves it to the engine, which takes all cores.
        cache_key: Names the weights, such as a hash of the model file. With it, a network that was once
            converted for OpenVINO is read from ``$CELLPROOF_CACHE`` or ``~/.cache/cellproof``.
        ranges: Of each network, by which OpenVINO runs it in 8-bit integers, see `int8_ranges`; empty where that was
            not found to be as accurate.

    Raises:
        UsageError: When this machine cannot do what was asked.
    """
    _check_choice(engine=engine, precision=precision, device=device)
    if engine == "openvino" and device in ("cuda", "mps"):
        raise UsageError(f"OpenVINO runs on the processor, not on {device}; use engine='torch' or device='cpu'")
    if engine != "torch" and device in ("auto", "cpu") and not (engine == device == "auto" and _has_cuda()):
        if find_spec("openvino") is not None:
            return _openvino_engines(make_modules, example_shape, engine, precision, threads, cache_key, ranges)
        if engine == "openvino":
            raise UsageError("OpenVINO is not installed; pip install openvino, or use engine='torch'")
    if precision == "int8":
        raise UsageError("only OpenVINO on the processor computes in int8; use precision='auto'")
    from .torch_engine import torch_engines

    return torch_engines(make_modules(), precision=precision, device=device, threads=threads)


def _openvino_engines(
    make_modules: Callable[[], Sequence[nn.Module]],
    example_shape: tuple[int, int, int],
    engine: EngineName,
    precision: Precision,
    threads: int | None,
    cache_key: str | None,
    ranges: Sequence[Sequence[Sequence[float]]],
) -> tuple[Engine, ...]:
    """OpenVINO engines from the cache, else converted; torch's where "auto" meets a network that cannot be."""
    from .openvino_engine import ConversionError, openvino_engines, openvino_from_cache

    if cache_key is not None:
        cached = openvino_from_cache(cache_key, precision=precision, threads=threads, ranges=ranges)
        if cached is not None:
            return cached
    modules = make_modules()
    try:
        return openvino_engines(
            modules,
            example_shape=example_shape,
            precision=precision,
            threads=threads,
            cache_key=cache_key,
            ranges=ranges,
        )
    except ConversionError as error:
        if engine == "openvino" or precision == "int8":
            raise InputError(f"{error}; use engine='torch'") from error
        _LOG.warning("%s; torch runs it instead", error)
    from .torch_engine import torch_engines

    return torch_engines(modules, precision=precision, device="cpu", threads=threads)


def _check_choice(**options: str) -> None:
    """Refuse a word that is no choice."""
    for name, word in options.items():
        if word not in _CHOICES[name]:
            raise UsageError(f"{name} {word!r} is unknown; use {', '.join(_CHOICES[name])}")


def _has_cuda() -> bool:
    """Whether torch finds a CUDA (or ROCm) device; without a driver torch is not even imported to ask."""
    if "torch" not in sys.modules and not _has_gpu_driver():
        return False
    import torch

    return torch.cuda.is_available()


def _has_gpu_driver() -> bool:
    """Whether NVIDIA's driver library loads or AMD's device file is there."""
    if os.path.exists("/dev/kfd"):
        return True
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
