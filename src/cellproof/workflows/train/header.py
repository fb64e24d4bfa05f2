"""What a model file says besides its weights."""

from __future__ import annotations

import msgspec
import numpy as np

from ... import __version__
from ...recipe import format_recipe
from ...types import InstanceOptions, IntensityStatistics, ModelHeader, TrainingRecord
from ..collect import Collection
from .build import build_module, heads_of
from .state import RunState
from .tune import Tuned


def make_header(members: int, collection: Collection, state: RunState, tuned: Tuned) -> ModelHeader:
    """Everything besides the weights that the file of so many members says."""
    recipe, description = state.recipe, collection.description
    module = build_module(recipe, description)
    background = ("background",) if description.masks == "instances" else ()
    return ModelHeader(
        name=recipe.name,
        description=recipe.description,
        architecture=recipe.model.architecture,
        options=dict(recipe.model.options),
        heads=heads_of(recipe, description),
        classes=(*background, *description.classes),
        colors=description.colors if not background else (),
        in_channels=recipe.data.network_channels,
        conditions=recipe.data.conditions,
        unknown=recipe.data.unknown,
        channels=collection.channels if len(collection.channels) == recipe.data.in_channels else (),
        normalization=recipe.data.normalization,
        scale=recipe.data.scale,
        fit_side_px=recipe.data.fit_side_px,
        fit_objects=recipe.data.fit_objects,
        pixel_size_um=description.pixel_size_um,
        stride_px=int(module.stride),  # type: ignore[arg-type]  # part of the contract of models
        receptive_field_px=int(module.receptive_field_px),  # type: ignore[arg-type]
        members=members,
        temperature=tuned.temperature,
        instance=on_the_image(tuned.options, recipe.data.scale),
        steps=tuned.steps,
        training=_record(collection, state),
        statistics=_statistics(collection, state),
        metrics=dict(tuned.metrics),
        trust=tuned.trust,
    )


def on_the_image(options: InstanceOptions, scale: float) -> InstanceOptions:
    """Options that were chosen on the network's grid, for maps on the image's: areas count pixels of the image.

    Args:
        options: As chosen.
        scale: Pixels of the network's grid per pixel of the image.

    Example:
        >>> on_the_image(InstanceOptions(smallest_area_px=50), 0.5).smallest_area_px
        200
    """
    return msgspec.structs.replace(options, smallest_area_px=round(options.smallest_area_px / scale**2))


def _record(collection: Collection, state: RunState) -> TrainingRecord:
    return TrainingRecord(
        data=collection.description.name,
        license=collection.description.license,
        images=len(_trained_on(state)),
        recipe=format_recipe(state.recipe),
        seed=state.request.seed,
        steps=state.steps,
        seconds=round(state.trained_s, 1),
        cellproof=__version__,
    )


def _statistics(collection: Collection, state: RunState) -> IntensityStatistics:
    """Of the training images, at the working scale."""
    means, diameters = [], []
    for sample in collection.samples(_trained_on(state)):
        mean = sample.image.mean(axis=(1, 2))
        means.append(np.resize(mean, state.recipe.data.in_channels))
        if sample.instances is not None:
            areas = np.bincount(sample.instances.ravel())[1:]
            diameters.append(np.sqrt(4 * areas[areas > 0] / np.pi))
    together = np.concatenate(diameters) if diameters else np.zeros(0)
    percentiles = np.percentile(together, (5, 50, 95)) if together.size else ()
    return IntensityStatistics(
        mean=tuple(round(float(m), 5) for m in np.mean(means, axis=0)),
        sd=tuple(round(float(s), 5) for s in np.std(means, axis=0)),
        object_diameter_px=tuple(round(float(d), 2) for d in percentiles),
    )


def _trained_on(state: RunState) -> list[str]:
    return sorted({name for fold in state.folds for name in fold.train})
