"""How to train, and the optimizer and precision that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from .schedule import Schedule


@dataclass(frozen=True)
class LoopOptions:
    """How to train.

    Attributes:
        steps: Optimizer steps, at least 1; with a time limit, an upper bound.
        seconds: Wall-clock limit over all resumptions, None for none. The schedule then follows
            whichever of steps and time is further, so the learning rate always ends at its end.
        validate_every: Steps between validations.
        optimizer: "adamw", "adam" or "sgd" (momentum 0.9, Nesterov).
        learning_rate: Base learning rate.
        weight_decay: Decoupled for adamw.
        schedule: See `learning_rate_factor`.
        warmup: Share of the training.
        drop_every: Share of the training, for the step schedule.
        drop: Factor, for the step schedule.
        horizon: Steps that the schedule is laid out for; None for ``steps``.
        cooldown: Last fraction of the training, in which the learning rate falls linearly to 0 from where the
            schedule then stands. With a horizon beyond ``steps`` a training can so be ended well before its
            schedule would (Hägele et al. 2024, arXiv 2405.18392).
        clip_norm: Largest norm of the gradient, None for no limit.
        average_decay: Decay of the weight average; 0 keeps the weights themselves.
        precision: "bf16" uses autocast; "auto" does where the device computes it natively.
        patience: Validations without improvement before stopping, at least 1, None for never.
        seed: Seed of dropout.
    """

    steps: int
    seconds: float | None = None
    validate_every: int = 500
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    schedule: Schedule = "cosine"
    warmup: float = 0.02
    drop_every: float = 0.2
    drop: float = 0.5
    horizon: int | None = None
    cooldown: float = 0.0
    clip_norm: float | None = 1.0
    average_decay: float = 0.998
    precision: Literal["auto", "f32", "bf16"] = "auto"
    patience: int | None = None
    seed: int = 0


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether to compute in bfloat16: as asked, or for "auto" where the device has instructions for it."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Builds without oneDNN, as on Apple's processors, lack the question as well.
    has_onednn = device.type == "cpu" and torch.backends.mkldnn.is_available()
    return has_onednn and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def build_optimizer(module: nn.Module, options: LoopOptions) -> torch.optim.Optimizer:
    """The optimizer; norms and biases are not decayed, for shrinking them only slows learning."""
    decayed = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": options.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if options.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=options.learning_rate, momentum=0.9, nesterov=True)
    if options.optimizer == "adam":
        return torch.optim.Adam(groups, lr=options.learning_rate)
    return torch.optim.AdamW(groups, lr=options.learning_rate)
