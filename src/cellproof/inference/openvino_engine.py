"""Networks run by OpenVINO on the processor: with `openvino_int8`, the files that import it."""

from __future__ import annotations

import platform
import re
import sys
import warnings
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import version
from logging import getLogger
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

    from .openvino_int8 import core, measure_ranges, quantized
finally:
    del sys.modules["openvino_telemetry"]
    if _reporting is not None:
        sys.modules["openvino_telemetry"] = _reporting

_LOG = getLogger(__name__)
_CONTENT = "deep features"
"""Named in the key of kept networks, so that those of other outputs are made anew."""

_BYTES_PER_PIXEL = {"f32": 850, "bf16": 500, "int8": 260}
"""Of int8 for EfficientNet-Lite0 with its light decoder, measured from 0.6 to 2.4 Mpixel (248) and rounded up; of the
others for a U-Net, the largest network."""

_AllRanges = Sequence[Sequence[Sequence[float]]]

_INT8 = "-int8"
"""What names of rounded networks in the cache end in."""

_LARGEST_ROUNDING = 0.15
"""Mean difference of a rounded network from the original, in standard deviations of each output; usual is 0.03, and
ranges in a wrong order give 0.4."""
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
        # What a rounded network does not multiply in 8 bits is so little that f32 costs nothing.
        rest = "f32" if precision == "int8" else precision
        options: dict[str, str | int] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": rest}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
            # Several networks on a part of the cores, of one process or of many, would else all be bound to the first.
            options["ENABLE_CPU_PINNING"] = False
        self._request = core().compile_model(model, "CPU", options).create_infer_request()

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
    ranges: _AllRanges = (),
) -> tuple[OpenVinoEngine, ...]:
    """Convert torch networks, one engine each, and keep the result where there is a ``cache_key``.

    Args:
        modules: Networks (N, C, H, W) → (N, K, H, W); put in evaluation mode.
        example_shape: (C, H, W) of an input that they take, H and W multiples of their stride.
        precision: "auto", "f32", "bf16" or "int8"; "auto" is int8 where there are ranges and the processor has fast
            instructions for it, else bf16 where the processor computes with it natively.
        threads: Threads; None takes all cores.
        cache_key: Names the weights; None keeps nothing.
        ranges: Of each network, see `int8_ranges`; empty for networks that are not to run in 8 bits.

    Raises:
        InputError: When the processor cannot do the precision, or int8 is asked for and there are no ranges that fit.
        ConversionError: When OpenVINO cannot convert a network, or converts it to another one.
    """
    chosen = _choose_precision(precision, has_ranges=bool(ranges))
    models = [_convert(module.eval(), example_shape) for module in modules]
    rounded = _rounded(models, ranges, example_shape)
    if cache_key is not None:
        write_entry(_entry(cache_key), lambda folder: _save(models, rounded, folder))
    return _engines(models, rounded, chosen, asked=precision, threads=threads)


def openvino_from_cache(
    cache_key: str,
    *,
    precision: str = "auto",
    threads: int | None = None,
    ranges: _AllRanges = (),
) -> tuple[OpenVinoEngine, ...] | None:
    """The engines that `openvino_engines` made earlier from the same weights; None where none were kept.

    torch is not imported.

    Raises:
        InputError: As `openvino_engines`.
    """
    chosen = _choose_precision(precision, has_ranges=bool(ranges))
    entry = _entry(cache_key)
    if not is_whole(entry):
        return None
    kept = sorted(entry.glob("*.xml"))
    is_rounded = [path.stem.endswith(_INT8) for path in kept]
    wanted = chosen[0] == "int8" and any(is_rounded)
    models = [core().read_model(path) for path, own in zip(kept, is_rounded, strict=True) if own == wanted]
    return _engines([] if wanted else models, models if wanted else [], chosen, asked=precision, threads=threads)


def int8_ranges(
    module: nn.Module, images: Iterable[np.ndarray], *, example_shape: tuple[int, int, int]
) -> tuple[tuple[float, float, float], ...]:
    """What a network's convolutions are given, by which it may later run in 8-bit integers.

    Args:
        module: As in `openvino_engines`.
        images: (C, H, W) float32 each, normalized, sides multiples of the stride; those of all kinds that it will see.
        example_shape: As in `openvino_engines`.

    Returns:
        For each convolution that is to be rounded: a sum of its weights that tells it from others, and the lowest and
        highest value of its input.

    Raises:
        ConversionError: As `openvino_engines`.
    """
    return measure_ranges(_convert(module.eval(), example_shape), images)


def _engines(
    models: Sequence[openvino.Model],
    rounded: Sequence[openvino.Model],
    chosen: tuple[str, str],
    *,
    asked: str,
    threads: int | None,
) -> tuple[OpenVinoEngine, ...]:
    precision, reason = chosen
    if precision == "int8" and not rounded:
        misfit = "the ranges in the model's file do not fit the network that this OpenVINO makes of it"
        if asked == "int8":
            raise InputError(f"int8 was asked for, but {misfit}; use precision='auto'")
        precision, reason = _choose_precision("auto", has_ranges=False)
        reason += f"; int8 would be faster, but {misfit}"
    used = rounded if precision == "int8" else models
    return tuple(OpenVinoEngine(model, precision=precision, reason=reason, threads=threads) for model in used)


def _rounded(
    models: Sequence[openvino.Model],
    ranges: _AllRanges,
    example_shape: tuple[int, int, int],
) -> list[openvino.Model]:
    """The networks in 8 bits; none where there are no ranges, or the results are not about the same."""
    rounded = []
    try:
        for model, own in zip(models, ranges, strict=bool(ranges)):
            rounded.append(quantized(model, own))
            expected, found = (
                OpenVinoEngine(one, precision="f32", reason="check of rounding")(_spots(example_shape)).copy()
                for one in (model, rounded[-1])
            )
            spread = np.maximum(expected.std(axis=(0, 2, 3)), 1e-6)
            difference = float((np.abs(found - expected).mean(axis=(0, 2, 3)) / spread).mean())
            if not difference <= _LARGEST_ROUNDING:
                raise ValueError(f"differs by {difference:.2g} standard deviations")
    except ValueError as error:
        _LOG.info("not rounded to 8 bits: %s", error)
        return []
    return rounded


def _spots(shape: tuple[int, int, int]) -> np.ndarray:
    """(1, C, H, W) of bright spots on a dark, slightly noisy ground."""
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    spots = np.exp(-((rows % 32 - 16) ** 2 + (columns % 40 - 20) ** 2) / 60)
    noise = 0.1 * np.random.default_rng(0).random((1, *shape))
    return np.asarray(spots + noise, np.float32)


def processor() -> tuple[str, tuple[str, ...]]:
    """The processor's name, and the arithmetic that OpenVINO has for it."""
    capabilities = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return str(core().get_property("CPU", "FULL_DEVICE_NAME")), tuple(sorted(capabilities))


def _choose_precision(precision: str, *, has_ranges: bool) -> tuple[str, str]:
    """The precision to use, and the reason for it."""
    is_native = "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bf16" and not is_native:
        raise InputError("this processor does not compute bf16 natively; use precision='f32'")
    if precision == "int8" and not has_ranges:
        raise InputError("the model's file holds no ranges for int8; use precision='auto'")
    has_int8 = _multiplies_int8()
    if precision == "int8" or (precision == "auto" and has_ranges and has_int8):
        why = "it multiplies 8-bit integers natively" if has_int8 else "as asked, though it has no VNNI"
        return "int8", f"OpenVINO int8 on the processor: {why}, and the model's file holds checked ranges for it"
    if precision == "f32" and is_native:
        return "f32", "OpenVINO f32 on the processor: as asked"
    why_not = "f32 on the processor: it has no native bf16"
    reason = "bf16 on the processor: it has AMX or AVX-512 bf16" if is_native else why_not
    if precision == "auto" and (has_ranges or has_int8):
        reason += "; not int8, for " + ("it has no VNNI" if has_ranges else "the model's file holds no ranges for it")
    return reason[: reason.index(" ")], f"OpenVINO {reason}"


@cache
def _multiplies_int8() -> bool:
    """Whether the processor has instructions that multiply and add 8-bit integers without overflow.

    OpenVINO does not tell; every x86 processor with bf16 has them, of others Linux lists them.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    if "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return True
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return bool(re.search(r"\bavx(512)?_vnni\b", file.read()))
    except OSError:
        return False


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


def _save(models: Sequence[openvino.Model], rounded: Sequence[openvino.Model], folder: Path) -> None:
    """Write each network with its weights as they are, and each rounded one beside it."""
    named = [(f"{number:02}", model) for number, model in enumerate(models)]
    named += [(f"{number:02}{_INT8}", model) for number, model in enumerate(rounded)]
    for name, model in named:
        try:
            openvino.save_model(model, folder / f"{name}.xml", compress_to_fp16=False)
        except RuntimeError as error:  # a full disk
            raise OSError(str(error)) from error


def _entry(cache_key: str) -> Path:
    """Folder of the converted networks of this key, package and OpenVINO."""
    return entry_folder(cache_key, version("cellproof"), openvino.__version__, _CONTENT)
