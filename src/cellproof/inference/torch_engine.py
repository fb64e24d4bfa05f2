"""Networks run by torch, on whatever device it has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from ..checks import UsageError
from .deep import WithDeepFeatures, gives_deep_features

_BYTES_PER_PIXEL = {"f32": 1000, "bf16": 750}


class TorchEngine:
    """One torch network in evaluation mode; see `Engine` for the attributes."""

    name = "torch"

    def __init__(self, module: nn.Module, *, precision: str, device: str, reason: str) -> None:
        self.precision = precision
        self.device = device
        self.reason = reason
        self.bytes_per_pixel = _BYTES_PER_PIXEL[precision]
        self._layout = torch.contiguous_format if (precision, device) == ("f32", "cpu") else torch.channels_last
        self.deep: np.ndarray | None = None
        module = module.eval()
        self._module = (WithDeepFeatures(module).eval() if gives_deep_features(module) else module).to(device)
        self._module.to(memory_format=self._layout)  # type: ignore[call-overload]  # torch's stub lacks it

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the network on (N, C, H, W) float32; see `Engine`."""
        own = np.array(batch, np.float32, order="C")  # the result may be written to, and a network may return its input
        with (
            torch.inference_mode(),
            torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.precision == "bf16"),
        ):
            images = torch.from_numpy(own).to(device=self.device, memory_format=self._layout)
            outputs = self._module(images)
            if isinstance(self._module, WithDeepFeatures):
                outputs, deep = outputs
                self.deep = deep.to(device="cpu", dtype=torch.float32).numpy()
            return outputs.to(device="cpu", dtype=torch.float32).contiguous().numpy()


def torch_engines(
    modules: Sequence[nn.Module], *, precision: str = "auto", device: str = "auto", threads: int | None = None
) -> tuple[TorchEngine, ...]:
    """One engine a network, all alike; the networks are put in evaluation mode and on the device.

    Args:
        modules: Networks (N, C, H, W) → (N, K, H, W).
        precision: "auto", "f32" or "bf16"; "auto" is bf16 where the device computes with it natively.
            "f32" on CUDA is as exact as torch's own TF32 settings allow.
        device: "auto", "cpu", "cuda" or "mps"; "auto" is CUDA where there is one, else the processor.
        threads: Threads on the processor, set for the whole of torch; None leaves them.

    Raises:
        UsageError: When the device is not there or cannot do the precision.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    _check_device(device)
    is_native = _computes_bf16(device)
    if precision == "bf16" and not is_native:
        raise UsageError(f"this machine's {_title(device)} does not compute bf16 natively; use precision='f32'")
    why = "as asked" if precision != "auto" else "it has native bf16" if is_native else "it has no native bf16"
    if precision == "auto":
        precision = "bf16" if is_native else "f32"
    if threads is not None:
        torch.set_num_threads(threads)
    reason = f"torch {precision} on {_title(device)}: {why}"
    return tuple(TorchEngine(module, precision=precision, device=device, reason=reason) for module in modules)


def _check_device(device: str) -> None:
    """Refuse a device that torch does not find."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("torch finds no CUDA device; use device='cpu', or install a driver and torch's CUDA build")
    if device == "mps" and not torch.backends.mps.is_available():
        raise UsageError("torch finds no Apple GPU; use device='cpu'")


def _computes_bf16(device: str) -> bool:
    """Whether the device multiplies bf16 itself, rather than slowly pretending to."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Builds without oneDNN, as on Apple's processors, lack the question as well.
    has_onednn = device == "cpu" and torch.backends.mkldnn.is_available()
    return has_onednn and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _title(device: str) -> str:
    """The device as a person knows it."""
    return {"cpu": "the processor", "mps": "the Apple GPU"}.get(device) or torch.cuda.get_device_name()
