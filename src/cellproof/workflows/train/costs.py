"""What recipes cost: parameters, arithmetic, and seconds on this machine, measured alternately."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from ...analysis.cost import count_parameters, multiply_adds
from ...data.description import Description
from ...recipe import Recipe
from ...training.batch import Batch, Outputs
from ...training.trainer import Trainer
from .build import build_module, heads_of, loop_options

ROUNDS = 5
"""Times that each is measured, in turns, so that what else the machine does meets all of them."""


@dataclass(frozen=True)
class Cost:
    """Of one network.

    Attributes:
        parameters: Learned numbers.
        multiply_adds: Of one forward pass of an image.
        step_s: Median seconds of an optimizer step on one batch, without making the batch.
        image_s: Median seconds of one forward pass of an image in torch.
    """

    parameters: int
    multiply_adds: int
    step_s: float
    image_s: float


def measure_costs(
    recipes: Mapping[str, Recipe],
    description: Description,
    *,
    shape: tuple[int, int],
    device: str = "cpu",
    rounds: int = ROUNDS,
) -> dict[str, Cost]:
    """Costs of the networks of several recipes, with random weights and images.

    Args:
        recipes: By any names.
        description: Of the data, which says how many classes there are.
        shape: Height and width of the image of a forward pass; it is padded to multiples of the stride.
        device: "cpu", "cuda" or "mps".
        rounds: Measurements of each, of which the median is taken, after one that is not.

    Returns:
        By the same names, those left out whose networks give objects instead of maps: what they compute depends on the
        image.

    Examples:
        >>> from cellproof.recipe import ModelConfig, TrainingConfig
        >>> tiny = Recipe("tiny", model=ModelConfig("unet", {"width": 4, "depth": 2}), training=TrainingConfig(32, 1))
        >>> cost = measure_costs({"a": tiny}, Description("d", "semantic", ("x", "y")), shape=(32, 32), rounds=1)["a"]
        >>> cost.parameters, cost.step_s > 0
        (1586, True)
    """
    runs = {
        name: _Timed(recipe, description, shape, device)
        for name, recipe in recipes.items()
        if not heads_of(recipe, description).is_detector
    }
    steps: dict[str, list[float]] = {name: [] for name in runs}
    images: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            steps[name].append(_seconds(run.step))
            images[name].append(_seconds(run.forward))
    return {
        name: Cost(run.parameters, run.multiply_adds, median(steps[name][1:]), median(images[name][1:]))
        for name, run in runs.items()
    }


class _Timed:
    """A network that is thrown away."""

    def __init__(self, recipe: Recipe, description: Description, shape: tuple[int, int], device: str) -> None:
        torch.manual_seed(0)
        module = build_module(recipe, description)
        stride = int(module.stride)  # type: ignore[arg-type]  # part of the contract of models
        height, width = (-(-length // stride) * stride for length in shape)
        channels = recipe.data.network_channels
        self.parameters = count_parameters(module)
        self.multiply_adds = multiply_adds(module, (1, channels, height, width))
        self.trainer = Trainer(module.to(device), loop_options(recipe, seed=0, seconds=None))
        self.image = torch.rand(1, channels, height, width, device=device)
        side, fields = recipe.training.patch_px, heads_of(recipe, description)
        self.batch = Batch(
            torch.rand(recipe.training.batch, channels, side, side),
            torch.zeros(recipe.training.batch, side, side, dtype=torch.uint8),
            torch.zeros(recipe.training.batch, fields.channels - fields.classes, side, side),
        )

    def step(self) -> None:
        """One step; the loss has to move every output, and costs next to nothing itself."""
        self.trainer.take_step(self.batch, _any_loss)  # reads the loss, and so waits for the device

    def forward(self) -> None:
        module = self.trainer.module.eval()
        with torch.inference_mode():
            float(module(self.image).sum())


def _any_loss(outputs: Outputs, batch: Batch) -> Tensor:
    assert not isinstance(outputs, Mapping)
    every = (outputs,) if isinstance(outputs, Tensor) else outputs
    return torch.stack([output.float().square().mean() for output in every]).sum()


def _seconds(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
