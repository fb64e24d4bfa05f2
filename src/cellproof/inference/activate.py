"""Raw outputs of a network → the maps that its heads mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..checks import InputError
from ..types import Heads


@dataclass(frozen=True)
class Maps:
    """What a network predicts for every pixel, all float32.

    Attributes:
        probabilities: (classes, H, W), summing to 1 over classes.
        fields: Its other outputs by name, each (channels, H, W).
        deep: (F,) what its coarsest features are like over the image; None where it gives none.
    """

    probabilities: np.ndarray
    fields: Mapping[str, np.ndarray] = field(default_factory=dict)
    deep: np.ndarray | None = None


def activate(outputs: np.ndarray, *, heads: Heads, temperature: float = 1.0) -> Maps:
    """Softmax of the class logits, and of every other output the activation that its head names.

    Works in place: ``outputs`` is overwritten and the maps are views of it.

    Args:
        outputs: (K, H, W) float32, K as ``heads`` has channels.
        heads: Meaning of the channels.
        temperature: Class logits are divided by this, above 0; 1 leaves them.

    Raises:
        InputError: When the channels are not those of ``heads``, or the temperature is not above 0.
    """
    if outputs.ndim != 3 or outputs.shape[0] != heads.channels:
        raise InputError(
            f"outputs have shape {outputs.shape}, but the heads have {heads.channels} channels; "
            "use the heads that the network was built for"
        )
    if not temperature > 0:
        raise InputError(f"temperature is {temperature}, expected a number above 0; 1 leaves probabilities as they are")
    _softmax(outputs[heads.class_slice], temperature)
    for head in heads.fields:
        own = outputs[heads.slices[head.name]]
        _sigmoid(own[: head.probabilities])
        own = own[head.probabilities :]
        if head.unit != 1:
            own *= np.float32(head.unit)
        if head.activation == "sigmoid":
            _sigmoid(own)
        elif head.activation == "clip":
            np.clip(own, 0, 1, out=own)
        elif head.activation == "positive":
            np.maximum(own, 0, out=own)
    return split(outputs, heads=heads)


def split(stack: np.ndarray, *, heads: Heads) -> Maps:
    """Name the channels of a (K, H, W) stack of activated maps; the maps are views."""
    return Maps(stack[heads.class_slice], {name: stack[own] for name, own in heads.slices.items()})


def tempered(maps: Maps, temperature: float) -> Maps:
    """The maps as a network predicts them with this temperature of its softmax, from those with 1.

    Example:
        >>> tempered(Maps(np.array([[[0.9]], [[0.1]]])), 2.0).probabilities.ravel().round(3).tolist()
        [0.75, 0.25]
    """
    powers = np.maximum(maps.probabilities, 1e-7) ** np.float32(1 / temperature)
    return Maps(powers / powers.sum(axis=0), maps.fields, maps.deep)


def _softmax(logits: np.ndarray, temperature: float) -> None:
    """Softmax over the first axis, in place."""
    if temperature != 1:
        logits *= np.float32(1 / temperature)
    if len(logits) == 2:  # a sigmoid of the difference: half the work
        second = logits[1]
        second -= logits[0]
        _sigmoid(second)
        np.subtract(1, second, out=logits[0])
        return
    logits -= logits.max(axis=0)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=0)


def _sigmoid(logits: np.ndarray) -> None:
    """1 / (1 + exp(-logits)), in place."""
    np.negative(logits, out=logits)
    with np.errstate(over="ignore"):  # exp of a very negative logit is infinite, and its reciprocal the right 0
        np.exp(logits, out=logits)
    logits += 1
    np.reciprocal(logits, out=logits)
