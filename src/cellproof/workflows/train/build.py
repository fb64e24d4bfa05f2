"""A recipe's words become the parts of one training."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ... import detectors, models
from ...checks import InputError
from ...data.description import Description
from ...data.folds import Fold
from ...data.targets import find_head, losses_of
from ...detectors._published import holds_published, load_published
from ...io import read_model
from ...losses import check_terms
from ...losses.deep_supervision import deep_supervision, part_views, views_loss
from ...losses.weighted_sum import weighted_sum
from ...models._lite0 import load_lite0
from ...models._vgg16 import holds_vgg16, load_vgg16
from ...parts import IMAGENET
from ...recipe import Recipe
from ...training.batch import Batch, Outputs
from ...training.options import LoopOptions
from ...types import Heads, LossTerm
from ..collect import Collection
from ..predict import find_model

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


def start_from(module: nn.Module, model: str) -> tuple[int, int]:
    """Copy the weights of a model file whose names and shapes fit; of an ensemble, those of its first member.

    "imagenet" starts the encoder of an effnet_unet; a safetensors file of torchvision's VGG-16 starts an fcn8s, one of
    its Mask R-CNN a mask_rcnn.

    Returns:
        Numbers of tensors copied and of tensors in the module.

    Raises:
        InputError: An ensemble of different models, or published weights of another network.
    """
    if model == IMAGENET:
        return load_lite0(module)
    path = find_model(model)
    if holds_vgg16(path):
        return load_vgg16(module, path)
    if holds_published(path):
        return load_published(module, path)
    header, tensors = read_model(path)
    if header.parts:
        raise InputError(f"{path}: is an ensemble of {len(header.parts)} models; start from one of them")
    own = module.state_dict()
    copied = 0
    for name, value in own.items():
        given = tensors.get(f"member0.{name}")
        if given is not None and tuple(given.shape) == tuple(value.shape):
            value.copy_(torch.from_numpy(np.asarray(given)).to(value.dtype))
            copied += 1
    return copied, len(own)


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

    def loss(outputs: Outputs, batch: Batch) -> Tensor:
        assert not isinstance(outputs, Mapping)
        device = (outputs if isinstance(outputs, Tensor) else outputs[0]).device
        class_map, fields = batch.class_map.to(device), batch.fields.to(device)
        class_weights = None if weights is None else weights.to(device)

        def of_one(logits: Tensor) -> Tensor:
            return weighted_sum(logits, class_map, fields, heads=heads, terms=terms, class_weights=class_weights)

        labeled, views = part_views(outputs)
        return deep_supervision(of_one, labeled, weight=recipe.loss.auxiliary) + views_loss(views, terms)

    return loss


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
