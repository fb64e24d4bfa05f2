"""The loss of a network with several outputs: a weighted sum of terms, each on one output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from ..checks import InputError
from ..types import Head, Heads, LossTerm
from . import VIEWS, load


def weighted_sum(
    outputs: Tensor,
    class_map: Tensor,
    fields: Tensor,
    *,
    heads: Heads,
    terms: Sequence[LossTerm],
    class_weights: Tensor | None = None,
    progress: float = 1.0,
    maps: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """``Σ weight × term(output, target)``.

    Args:
        outputs: (N, K, H, W) of the network, channels as in ``heads``.
        class_map: (N, H, W) class of each pixel, uint8 or long; 255 pixels are left out of every term.
        fields: (N, F, H, W) targets of the heads after the classes, in their order; F = 0 without any.
        heads: What the channels mean; at least two classes.
        terms: What is added up, those on views left out; see `check_terms`.
        class_weights: (classes,) weights of the cross-entropy, for rare classes; None for all alike.
        progress: Fraction of the training that is done, in [0, 1], told to the terms that change with it.
        maps: Name → (N, H, W), what terms ask for besides; see `maps_of`.

    Returns:
        Scalar >= 0; 0 with zero gradient where no pixel is annotated.

    Raises:
        InputError: Channels that do not fit the heads.
    """
    _check_channels(outputs, fields, heads)
    total = outputs.new_zeros((), dtype=torch.promote_types(outputs.dtype, torch.float32))
    slices = heads.slices
    told = {"progress": progress, **(maps or {})}
    for term in terms:
        if not term.weight or term.on == VIEWS:
            continue
        if term.on == "classes":
            output, target = outputs[:, heads.class_slice], class_map
        else:
            own = slices[term.on]
            output = _in_units(outputs[:, own], next(head for head in heads.fields if head.name == term.on))
            target = fields[:, own.start - heads.classes : own.stop - heads.classes]
        of_one = load(term.name)
        own_told = {name: told[name] for name in told if name in _keywords(of_one)}
        value = of_one(output, target, class_map=class_map, class_weights=class_weights, **own_told, **term.options)
        total = total + term.weight * value
    return total


def _in_units(output: Tensor, head: Head) -> Tensor:
    """Outputs as `inference.activate` takes them: those that are no probabilities times the head's unit."""
    if head.unit == 1:
        return output
    questions, values = output[:, : head.probabilities], output[:, head.probabilities :]
    return torch.cat([questions, values.float() * head.unit], dim=1)


@cache
def _keywords(term: Callable[..., Any]) -> frozenset[str]:
    """What a term may be told."""
    return frozenset(signature(term).parameters)


def _check_channels(outputs: Tensor, fields: Tensor, heads: Heads) -> None:
    if heads.classes < 2:
        raise InputError(
            f"heads have {heads.classes} class; a softmax needs at least 2, of which one may be background"
        )
    if outputs.shape[1] != heads.channels or fields.shape[1] != heads.channels - heads.classes:
        raise InputError(
            f"outputs have {outputs.shape[1]} channels and fields {fields.shape[1]}; "
            f"{heads} has {heads.channels} and {heads.channels - heads.classes}"
        )
