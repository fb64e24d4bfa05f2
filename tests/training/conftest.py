"""A training of a second: a tiny network with chance and running statistics, a clock that stands still."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch.nn.functional import cross_entropy

from cellproof.models.unet import build
from cellproof.training.batch import Batch
from cellproof.training.checkpoint import restore, to_tensors
from cellproof.training.loop import run
from cellproof.training.options import LoopOptions
from cellproof.training.trainer import Trainer


def batch_at(step):
    rng = np.random.default_rng([7, step])
    images = rng.normal(size=(2, 1, 8, 8)).astype(np.float32)
    return Batch(
        torch.from_numpy(images), torch.from_numpy((images[:, 0] > 0.3).astype(np.uint8)), torch.zeros(2, 0, 8, 8)
    )


def loss(outputs, batch):
    return cross_entropy(outputs.float(), batch.class_map.long())


def validate(module):
    with torch.no_grad():
        value = float(loss(module(batch_at(10_000).images), batch_at(10_000)))
    return -value, {"entropy": value}


@dataclass
class Toy:
    """What the tests of this folder train."""

    batch_at: object = staticmethod(batch_at)
    loss: object = staticmethod(loss)
    steps_told: list = field(default_factory=list)

    @staticmethod
    def trainer(*, seed=1, width=2, **options):
        torch.manual_seed(seed)
        network = build(in_channels=1, out_channels=2, width=width, depth=2, norm="batch_renorm", dropout=0.3)
        return Trainer(network, LoopOptions(**{"steps": 10, "validate_every": 4, "learning_rate": 0.05, **options}))

    @staticmethod
    def run(trainer, **changes):
        parts = {
            "batch_at": batch_at,
            "loss": loss,
            "validate": validate,
            "on_step": lambda progress: None,
            "on_validation": lambda trainer: None,
            "clock": lambda: 0.0,
        }
        return run(trainer, **{**parts, **changes})

    @staticmethod
    def state(trainer):
        tensors, counters = to_tensors(trainer)
        return {name: value.numpy().tobytes() for name, value in tensors.items()}, counters

    @staticmethod
    def through_a_file(trainer, fresh):
        """The fresh trainer in the state of the other, by way of a file's bytes."""
        tensors, counters = to_tensors(trainer)
        restore(fresh, load(save(tensors)), counters)
        return fresh


@pytest.fixture
def toy():
    return Toy()


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """All tests of trainings."""
