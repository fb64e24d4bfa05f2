"""Some held-out images with what a person drew and what the finished model says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor, nn

from ...data.folds import Fold
from ...difficulty.measures import difficulty_maps
from ...types import IGNORE, ModelHeader, Sample
from ..collect import Collection
from ..predict import Predictor, label_objects
from .state import ValidationExample
from .validate import limited

MOST_EXAMPLES = 4


def make_examples(
    members: Sequence[Mapping[str, Tensor]],
    folds: Sequence[Fold],
    collection: Collection,
    *,
    header: ModelHeader,
    module: nn.Module,
) -> list[ValidationExample]:
    """Up to four images, spread over those held out, each predicted by the member that has not seen it.

    Args:
        members: Weights of each fold's network.
        folds: Division that they were trained on.
        collection: The data.
        header: Of the model that they form.
        module: A network of the members' shape, for their weights to be put in.
    """
    held_out = [(number, name) for number, fold in enumerate(folds) for name in fold.val]
    places = np.unique(np.linspace(0, len(held_out) - 1, min(MOST_EXAMPLES, len(held_out))).astype(int))
    examples = []
    for number, name in (held_out[place] for place in places):
        module.load_state_dict(dict(members[number]))
        (sample,) = limited(collection.samples([name]), most_pixels=1)
        examples.append(_example(name, sample, module, header))
    return examples


def _example(name: str, sample: Sample, module: nn.Module, header: ModelHeader) -> ValidationExample:
    predictor = Predictor.of_module(
        module, heads=header.heads, in_channels=header.in_channels, temperature=header.temperature
    )
    maps = predictor.predict(sample.image, scale=1.0)
    labels, classes = label_objects(maps, header)
    has_instances = sample.instances is not None and header.heads.has_instances
    return ValidationExample(
        name=name,
        image=sample.image,
        reference=sample.instances if has_instances and sample.instances is not None else sample.class_map,
        prediction=labels if has_instances else classes,
        difficulty=difficulty_maps(maps.probabilities, within=sample.class_map != IGNORE),
    )
