"""Samples in memory become the batch of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ...augment.compose import Augmentation
from ...data.folds import Fold
from ...data.index import Record, attribute
from ...data.normalization import fit_channels, with_condition
from ...data.targets import make_targets
from ...losses import maps_of
from ...recipe import DataConfig, Recipe
from ...training.batch import Batch
from ...types import Heads, Sample, Unknown
from ..collect import Collection, SampleStore
from .augment import augmentation
from .build import heads_of, terms_of


@dataclass(frozen=True)
class BatchMaker:
    """The batch of a step, as a function of the step's number and the seed alone.

    Attributes:
        store: Samples.
        weights: (n,) probability of drawing each sample, summing to 1.
        free: Cut, turn, scale, bend and change patches; by the sample's number of channels, for colors need three.
        exact: The same without any resampling of pixels.
        exact_share: Share of patches that are cut exactly.
        heads: Which targets are made.
        in_channels: Channels of the network's input.
        batch: Patches per step.
        seed: Random seed.
        conditions: Values that the network may be told, each a constant channel after the image's.
        condition_dropout: Fraction of patches whose value is withheld.
        unknown: What the channels then are.
        maps: What the terms of the loss ask for besides targets.
    """

    store: SampleStore
    weights: np.ndarray
    free: Mapping[int, Augmentation]
    exact: Mapping[int, Augmentation]
    exact_share: float
    heads: Heads
    in_channels: int
    batch: int
    seed: int
    conditions: tuple[str, ...] = ()
    condition_dropout: float = 0.0
    unknown: Unknown = "zeros"
    maps: tuple[str, ...] = ()

    def __call__(self, step: int) -> Batch:
        """Images, class maps, fields and maps of a step."""
        patches = [self._patch(step, place) for place in range(self.batch)]
        targets = [make_targets(patch, self.heads, self.maps) for patch in patches]
        fitted = [fit_channels(patch.image, self.in_channels) for patch in patches]
        if self.conditions:
            told = [self._told(step, place, patch.condition) for place, patch in enumerate(patches)]
            fitted = [
                with_condition(image, self.conditions, value, unknown=self.unknown)
                for image, value in zip(fitted, told, strict=True)
            ]
        images = np.stack(fitted)
        return Batch(
            images=torch.from_numpy(images),
            class_map=torch.from_numpy(np.stack([target.class_map for target in targets])),
            fields=torch.from_numpy(np.stack([target.fields for target in targets])),
            maps={name: torch.from_numpy(np.stack([target.maps[name] for target in targets])) for name in self.maps},
        )

    def _patch(self, step: int, place: int) -> Sample:
        rng = np.random.default_rng([self.seed, step, place])
        sample = self.store[int(rng.choice(len(self.weights), p=self.weights))]
        kind = self.exact if rng.random() < self.exact_share else self.free
        return replace(kind[sample.image.shape[0]](sample, rng), condition=sample.condition)

    def _told(self, step: int, place: int, value: str) -> str:
        """The value, or nothing where it is withheld: a network that always knew it would be lost without."""
        withheld = np.random.default_rng([self.seed, step, place, 1]).random() < self.condition_dropout
        return "" if withheld else value


def draw_weights(
    records: Sequence[Record], areas_px: Sequence[int], objects: Sequence[int], data: DataConfig
) -> np.ndarray:
    """Probability of drawing each record: by its area and its objects, and balanced over an attribute's values.

    Args:
        records: The training records.
        areas_px: Pixels of each.
        objects: Objects in each; an empty image counts as one with a single object.
        data: `area_power`, `object_power`, `balance` and `balance_power`.

    Raises:
        InputError: A record lacks the attribute.
    """
    weights = np.asarray(areas_px, float) ** data.area_power
    weights *= np.maximum(np.asarray(objects, float), 1) ** data.object_power
    if data.balance:
        values = [attribute(record, data.balance) for record in records]
        for value in set(values):
            members = np.array([v == value for v in values])
            weights[members] *= members.sum() ** data.balance_power / weights[members].sum()
    shares: np.ndarray = weights / weights.sum()
    return shares


def batch_maker(collection: Collection, fold: Fold, recipe: Recipe, *, seed: int) -> BatchMaker:
    """Batches of a fold's training images."""
    positions = collection.positions(fold.train)
    config = recipe.training
    heads = heads_of(recipe, collection.description)
    every_channels = {collection.store[i].image.shape[0] for i in positions}
    kinds = {
        exact: {
            channels: augmentation(recipe.augment, patch_px=config.patch_px, channels=channels, exact=exact)
            for channels in every_channels
        }
        for exact in (False, True)
    }
    return BatchMaker(
        store=SampleStore(lambda place: collection.store[positions[place]], most_bytes=0),
        weights=draw_weights(
            [collection.records[i] for i in positions],
            [collection.areas_px[i] for i in positions],
            [collection.objects[i] for i in positions],
            recipe.data,
        ),
        free=kinds[False],
        exact=kinds[True],
        exact_share=recipe.augment.exact,
        heads=heads,
        maps=maps_of(terms_of(recipe, heads)),
        in_channels=recipe.data.in_channels,
        conditions=recipe.data.conditions,
        condition_dropout=recipe.data.condition_dropout,
        unknown=recipe.data.unknown,
        batch=config.batch,
        seed=seed,
    )
