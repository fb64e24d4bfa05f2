"""Cost of a network: parameters, arithmetic, memory. Found without computing or holding a pixel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode


def count_parameters(module: nn.Module) -> int:
    """Number of learned values; each counts once, however often it is used."""
    return sum(parameter.numel() for parameter in module.parameters())


def multiply_adds(module: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Multiplications (each with its addition) of one pass through all convolutions and linear layers.

    Normalizations, activations, pooling and interpolation are left out: together they are a few per cent.

    Args:
        module: Any network of one input.
        input_shape: Shape of that input, e.g. (1, 3, 256, 256).
    """
    counts: list[int] = []

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], outputs: torch.Tensor) -> None:
        counts.append(_layer_multiply_adds(layer, inputs[0], outputs))

    handles = [
        layer.register_forward_hook(count)
        for layer in module.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    ]
    try:
        with torch.no_grad():
            _run_without_values(module, input_shape, _shapes(module))
    finally:
        for handle in handles:
            handle.remove()
    return sum(counts)


def activation_bytes(module: nn.Module, input_shape: tuple[int, ...], *, keeps_gradients: bool = False) -> int:
    """Most memory that the input and all intermediate results take at one moment.

    The scratch memory of convolutions, which depends on library and machine, comes on top; so do the parameters.

    Args:
        module: Any network of one input, whose dtype the activations have.
        input_shape: Shape of that input.
        keeps_gradients: Whether all that a backward pass needs is kept, as in training.

    Returns:
        Bytes.
    """
    parameters = _shapes(module)
    with torch.set_grad_enabled(keeps_gradients), _LiveMemory() as memory:
        _run_without_values(module, input_shape, parameters)
    return memory.peak_bytes


def _layer_multiply_adds(layer: nn.Module, features: torch.Tensor, outputs: torch.Tensor) -> int:
    """Multiplications of one layer."""
    if isinstance(layer, nn.ConvTranspose2d):
        # Each input value is spread over a kernel for each output channel.
        return features.numel() * layer.out_channels // layer.groups * math.prod(layer.kernel_size)
    if isinstance(layer, nn.Conv2d):
        return outputs.numel() * layer.in_channels // layer.groups * math.prod(layer.kernel_size)
    assert isinstance(layer, nn.Linear)
    return outputs.numel() * layer.in_features


def _shapes(module: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers without their values, on torch's "meta" device."""
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {name: value.detach().to("meta").requires_grad_(value.requires_grad) for name, value in state.items()}


def _run_without_values(module: nn.Module, input_shape: tuple[int, ...], parameters: dict[str, torch.Tensor]) -> None:
    """Run a network in evaluation mode on shapes only."""
    dtype = next((value.dtype for value in module.parameters()), torch.float32)
    was_training = module.training
    module.eval()
    try:
        functional_call(module, parameters, (torch.empty(input_shape, device="meta", dtype=dtype),))
    finally:
        module.train(was_training)


class _LiveMemory(TorchDispatchMode):
    """Follows the memory of all tensors made inside the ``with`` block until they are freed."""

    def __init__(self) -> None:
        super().__init__()
        self.peak_bytes = 0
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        results = operation(*args, **(kwargs or {}))
        self._live = {key: entry for key, entry in self._live.items() if not entry[0].expired()}
        given = {StorageWeakRef(tensor.untyped_storage()).cdata for tensor in _tensors(args)}
        for tensor in _tensors(results):
            reference = StorageWeakRef(tensor.untyped_storage())
            # A view takes no memory of its own, be it of a parameter or of a result.
            if reference.cdata not in given:
                self._live[reference.cdata] = (reference, tensor.untyped_storage().nbytes())
        self.peak_bytes = max(self.peak_bytes, sum(size for _, size in self._live.values()))
        return results


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    """All tensors in nested lists and tuples."""
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)
