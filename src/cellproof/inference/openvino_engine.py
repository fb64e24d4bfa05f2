"""Networks run by OpenVINO on the processor: the one file that imports it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..checks import InputError
from .ir_cache import entry_folder, is_whole, write_entry

if TYPE_CHECKING:
    from torch import nn

# OpenVINO reports its use over the network as soon as it is imported; where the reporting package cannot
# be found it takes a stub of its own.
_reporting = sys.modules.get("openvino_telemetry")
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
try:
    import openvino
finally:
    del sys.modules["openvino_telemetry"]
    if _reporting is not None:
        sys.modules["openvino_telemetry"] = _reporting

_CONTENT = "deep features"
"""Named in the key of kept networks, so that those of other outputs are made anew."""

_BYTES_PER_PIXEL = {"f32": 850, "bf16": 500}
_LARGEST_DIFFERENCE = 1e-3
"""Of a converted network from the original, as a fraction of the largest output; rounding stays below 1e-5."""


class ConversionError(RuntimeError):
    """A network that OpenVINO cannot take over."""


class OpenVinoEngine:
    """One converted network; see `Engine` for the attributes.

    The network is compiled once for all sizes: that is as fast as one compiled for a single size, and
    images of many sizes cost no further compilation.
    """

    name = "openvino"
    device = "cpu"

    def __init__(self, model: openvino.Model, *, precision: str, reason: str, threads: int | None = None) -> None:
        self.precision = precision
        self.reason = reason
        self.deep: np.ndarray | None = None
        self.bytes_per_pixel = _BYTES_PER_PIXEL[precision]
        options: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        self._request = _core().compile_model(model, "CPU", options).create_infer_request()

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the network on (N, C, H, W) float32; see `Engine`. The result is the request's own buffer."""
        contiguous = np.ascontiguousarray(batch, np.float32)
        found = self._request.infer({0: contiguous}, share_inputs=True, share_outputs=True)
        if len(found) > 1:
            self.deep = np.array(found[1], np.float32)
        return found[0]


def openvino_engines(
    modules: Sequence[nn.Module],
    *,
    example_shape: tuple[int, int, int],
    precision: str = "auto",
    threads: int | None = None,
    cache_key: str | None = None,
) -> tuple[OpenVinoEngine, ...]:
    """Convert torch networks, one engine each, and keep the result where there is a ``cache_key``.

    Args:
        modules: Networks (N, C, H, W) → (N, K, H, W); put in evaluation mode.
        example_shape: (C, H, W) of an input that they take, H and W multiples of their stride.
        precision: "auto", "f32" or "bf16"; "auto" is bf16 where the processor computes with it natively.
        threads: Threads; None takes all cores.
        cache_key: Names the weights; None keeps nothing.

    Raises:
        InputError: When the processor cannot do the precision.
        ConversionError: When OpenVINO cannot convert a network, or converts it to another one.
    """
    precision, reason = _choose_precision(precision)
    models = [_convert(module.eval(), example_shape) for module in modules]
    engines = tuple(OpenVinoEngine(model, precision=precision, reason=reason, threads=threads) for model in models)
    if cache_key is not None:
        write_entry(_entry(cache_key), lambda folder: _save(models, folder))
    return engines


def openvino_from_cache(
    cache_key: str, *, precision: str = "auto", threads: int | None = None
) -> tuple[OpenVinoEngine, ...] | None:
    """The engines that `openvino_engines` made earlier from the same weights; None where none were kept.

    torch is not imported.

    Raises:
        InputError: When the processor cannot do the precision.
    """
    precision, reason = _choose_precision(precision)
    entry = _entry(cache_key)
    if not is_whole(entry):
        return None
    models = [_core().read_model(path) for path in sorted(entry.glob("*.xml"))]
    return tuple(OpenVinoEngine(model, precision=precision, reason=reason, threads=threads) for model in models)


def processor() -> tuple[str, tuple[str, ...]]:
    """The processor's name, and the arithmetic that OpenVINO has for it."""
    capabilities = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return str(_core().get_property("CPU", "FULL_DEVICE_NAME")), tuple(sorted(capabilities))


@cache
def _core() -> openvino.Core:
    """OpenVINO's runtime, of which a process needs one."""
    return openvino.Core()


def _choose_precision(precision: str) -> tuple[str, str]:
    """The precision to use, and the reason for it."""
    is_native = "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bf16" and not is_native:
        raise InputError("this processor does not compute bf16 natively; use precision='f32'")
    if precision == "f32" and is_native:
        return "f32", "OpenVINO f32 on the processor: as asked"
    if is_native:
        return "bf16", "OpenVINO bf16 on the processor: it has AMX or AVX-512 bf16"
    return "f32", "OpenVINO f32 on the processor: it has no native bf16"


def _convert(module: nn.Module, example_shape: tuple[int, int, int]) -> openvino.Model:
    """Trace and convert a network, then check it on an input of another shape than it was traced with."""
    import torch

    from .deep import WithDeepFeatures, gives_deep_features

    name = type(module).__name__
    if gives_deep_features(module):
        module = WithDeepFeatures(module).eval()
    channels, height, width = example_shape
    generator = torch.Generator().manual_seed(0)
    example = torch.rand((1, channels, height, width), generator=generator)
    other = torch.rand((1, channels, height, 2 * width), generator=generator)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]  # the check below finds what these warn of
        warnings.filterwarnings("ignore", ".*torch.jit.trace.*", DeprecationWarning)
        try:
            traced = torch.jit.trace(module, example, check_trace=False)
            model = openvino.convert_model(traced, example_input=example)
        except Exception as error:  # tracing and converting raise anything, also of their own types
            raise ConversionError(f"OpenVINO cannot convert {name}: {error}") from error
        outputs = module(other)
    expected = [one.numpy() for one in (outputs if isinstance(outputs, tuple) else (outputs,))]
    engine = OpenVinoEngine(model, precision="f32", reason="check of the conversion")
    found = engine(other.numpy())
    for one, wanted in zip((found, engine.deep), expected, strict=False):
        difference = float(np.abs(one - wanted).max())
        if not difference <= _LARGEST_DIFFERENCE * max(1.0, float(np.abs(wanted).max())):
            raise ConversionError(f"OpenVINO's {name} differs from torch's by {difference:.2g}")
    return model


def _save(models: Sequence[openvino.Model], folder: Path) -> None:
    """Write each network with its weights as they are."""
    for number, model in enumerate(models):
        try:
            openvino.save_model(model, folder / f"{number:02}.xml", compress_to_fp16=False)
        except RuntimeError as error:  # a full disk
            raise OSError(str(error)) from error


def _entry(cache_key: str) -> Path:
    """Folder of the converted networks of this key, package and OpenVINO."""
    return entry_folder(cache_key, version("cellproof"), openvino.__version__, _CONTENT)
