"""A recipe's words become the parts of one training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from ... import detectors, models
from ...checks import InputError
from ...data.description import Description
from ...data.folds import Fold
from ...data.targets import find_head, losses_of
from ...losses import check_terms
from ...losses.deep_supervision import deep_supervision, part_views, views_loss
from ...losses.weighted_sum import weighted_sum
from ...recipe import Recipe
from ...training.batch import Batch, Outputs
from ...training.options import LoopOptions
from ...types import Heads, LossTerm
from ..collect import Collection

TIMED_STEPS = 100
"""With a time limit, the recipe's steps are a guess; the clock ends the training long before so many times more."""


def heads_of(recipe: Recipe, description: Description) -> Heads:
    """What the network's outputs mean; with instances, class 0 is the background.

    Raises:
        InputError: The recipe names an output or an option that there is not.
    """
    background = 1 if description.masks == "instances" else 0
    return Heads(
        classes=len(description.classes) + background,
        fields=tuple(find_head(head.name, head.options) for head in recipe.heads),
    )


def terms_of(recipe: Recipe, heads: Heads) -> tuple[LossTerm, ...]:
    """Terms of the recipe's loss; those of their own files for outputs on which it names none.

    Raises:
        InputError: No training of these heads could compute them.
    """
    if heads.is_detector or recipe.model.architecture in detectors.names():
        _check_detector(recipe, heads)
        return ()
    named = {term.on for term in recipe.loss.terms}
    terms = (*(term for term in losses_of(heads) if term.on not in named), *recipe.loss.terms)
    check_terms(terms, heads)
    return terms


def _check_detector(recipe: Recipe, heads: Heads) -> None:
    """Refuse what a detector cannot learn from, and a dense network that is asked to be one.

    Raises:
        InputError: Naming the key of the recipe.
    """
    if recipe.model.architecture not in detectors.names():
        raise InputError(
            f"recipe {recipe.name!r}: no dense network learns the output 'detections'; choose model.architecture among "
            f"{', '.join(detectors.names())}, or other [[heads]]"
        )
    if heads.names != ("detections",):
        raise InputError(
            f"recipe {recipe.name!r}: {recipe.model.architecture} finds objects one by one and has no other outputs; "
            "leave [[heads]] out"
        )
    if recipe.loss.terms or recipe.loss.balance_classes:
        raise InputError(
            f"recipe {recipe.name!r}: {recipe.model.architecture} computes its losses itself; leave [loss] out"
        )


def build_module(recipe: Recipe, description: Description) -> nn.Module:
    """The recipe's network with random weights; seed torch before."""
    heads = heads_of(recipe, description)
    module: nn.Module = (detectors if heads.is_detector else models).load(
        recipe.model.architecture,
        in_channels=recipe.data.network_channels,
        out_channels=heads.channels,
        **recipe.model.options,
    )
    return module


def loop_options(recipe: Recipe, *, seed: int, seconds: float | None) -> LoopOptions:
    """Options of the loop for a training of so many seconds, None for the recipe's steps."""
    config = recipe.training
    return LoopOptions(
        steps=config.steps if seconds is None else TIMED_STEPS * config.steps,
        seconds=seconds,
        validate_every=config.validate_every,
        optimizer=config.optimizer,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        schedule=config.schedule,
        warmup=config.warmup,
        drop_every=config.drop_every,
        drop=config.drop,
        horizon=config.horizon,
        cooldown=config.cooldown,
        clip_norm=config.clip_norm,
        average_decay=config.average_decay,
        precision=config.precision,
        patience=config.patience,
        seed=seed,
    )


def loss_of(collection: Collection, fold: Fold, recipe: Recipe) -> Callable[[Outputs, Batch], Tensor]:
    """The recipe's loss, of outputs on any device and a batch wherever it is."""
    heads = heads_of(recipe, collection.description)
    terms = terms_of(recipe, heads)
    if heads.is_detector:
        return lambda outputs, batch: sum_of_losses(outputs)
    weights = _class_weights(collection, fold, recipe, heads.classes) if recipe.loss.balance_classes else None
    return _Loss(heads, terms, weights, recipe.loss.auxiliary)


@dataclass
class _Loss:
    """The terms of a recipe, as a function of outputs and batch.

    Attributes:
        heads: What the outputs mean.
        terms: What is added up.
        class_weights: (classes,) of the cross-entropy, or None.
        auxiliary: What auxiliary outputs count together.
        progress: Fraction of the training that is done, of which the trainer tells before every step.
    """

    heads: Heads
    terms: tuple[LossTerm, ...]
    class_weights: Tensor | None
    auxiliary: float | Literal["sum"]
    progress: float = 0.0

    def tell_progress(self, share: float) -> None:
        """Hear how much of the training is done."""
        self.progress = share

    def __call__(self, outputs: Outputs, batch: Batch) -> Tensor:
        assert not isinstance(outputs, Mapping)
        device = (outputs if isinstance(outputs, Tensor) else outputs[0]).device
        class_map, fields = batch.class_map.to(device), batch.fields.to(device)
        maps = {name: values.to(device) for name, values in batch.maps.items()}
        class_weights = None if self.class_weights is None else self.class_weights.to(device)

        def of_one(logits: Tensor) -> Tensor:
            return weighted_sum(
                logits,
                class_map,
                fields,
                heads=self.heads,
                terms=self.terms,
                class_weights=class_weights,
                progress=self.progress,
                maps=maps,
            )

        labeled, views = part_views(outputs)
        return deep_supervision(of_one, labeled, weight=self.auxiliary) + views_loss(views, self.terms)


def sum_of_losses(outputs: Outputs) -> Tensor:
    """Sum of the losses that a detector computed.

    Example:
        >>> sum_of_losses({"boxes": torch.tensor(1.0), "masks": torch.tensor(0.5)})
        tensor(1.5000)
    """
    assert isinstance(outputs, Mapping)
    return torch.stack(list(outputs.values())).sum()


def _class_weights(collection: Collection, fold: Fold, recipe: Recipe, classes: int) -> Tensor:
    """(classes,) of mean 1, larger for rarer classes."""
    counts = np.zeros(classes)
    for sample in collection.samples(fold.train):
        counts += np.bincount(sample.class_map.ravel(), minlength=256)[:classes]
    # A class that no image shows would weigh without bound.
    balanced = np.maximum(counts / counts.sum(), 1e-4) ** -recipe.loss.balance_classes
    return torch.tensor(balanced / balanced.mean(), dtype=torch.float32)
