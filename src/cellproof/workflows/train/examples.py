"""Some held-out images with what a person drew and what the finished model says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ...checks import InputError
from ...data.folds import Fold
from ...data.normalization import fit_channels, with_condition
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
        module,
        heads=header.heads,
        in_channels=header.in_channels - len(header.conditions),
        conditions=header.conditions,
        unknown=header.unknown,
        temperature=header.temperature,
    )
    maps = predictor.predict_sample(sample)
    labels, classes = label_objects(maps, header, image=sample.image)
    has_instances = sample.instances is not None and header.heads.has_instances
    return ValidationExample(
        name=name,
        image=sample.image,
        reference=sample.instances if has_instances and sample.instances is not None else sample.class_map,
        prediction=labels if has_instances else classes,
        difficulty=difficulty_maps(maps.probabilities, within=sample.class_map != IGNORE),
        explained=_explained(module, sample, header),
    )


def _explained(module: nn.Module, sample: Sample, header: ModelHeader) -> dict[str, np.ndarray]:
    """What a network that has an ``explain`` shows of an image, (H, W) each.

    Raises:
        InputError: It gives another shape.
    """
    explain: Callable[[Tensor], Mapping[str, np.ndarray]] | None = getattr(module, "explain", None)
    if explain is None:
        return {}
    fitted = fit_channels(sample.image, header.in_channels - len(header.conditions))
    told = with_condition(fitted, header.conditions, sample.condition, unknown=header.unknown)
    image = torch.from_numpy(told[None])
    with torch.inference_mode():
        given = explain(image.to(next(module.parameters()).device))
    maps = {name: np.asarray(values, np.float32) for name, values in given.items()}
    for name, values in maps.items():
        if values.shape != sample.class_map.shape:
            raise InputError(
                f"explain of {header.architecture} gave {name!r} of shape {values.shape}; "
                f"expected {sample.class_map.shape}, the image's height and width"
            )
    return maps
