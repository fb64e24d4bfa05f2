"""Predictions of a fold's images: made once, kept on disk while the fold is scored, never all in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np

from ...checks import InputError
from ...data.description import Description
from ...data.index import Record
from ...data.samples import fix_mask
from ...difficulty.disagreement import Poll, disagreement
from ...inference.activate import Maps
from ...io import atomic_path, make_folder, read_image, read_labels
from ...types import Step
from ..evaluate import ClassNames, Predicted, Reference
from ..predict import Model, Predictor, label_objects, load_model
from .steps import refined


@dataclass(frozen=True)
class Trained:
    """A trained network, loaded when it is first needed.

    Attributes:
        model_file: Its model.
        cache: Folder of its predictions, which may be removed at any time.
        attribute: What its conditions are values of; empty for a network that is told nothing.
        told: See `Entry.told`.
    """

    model_file: Path
    cache: Path
    attribute: str = ""
    told: Literal["given", "withheld", "wrong"] = "given"

    @cached_property
    def model(self) -> Model:
        """The model, ready to run."""
        return load_model(self.model_file)

    @property
    def tells_apart(self) -> bool:
        """Whether the network tells objects apart, rather than classes of pixels."""
        return self.model.header.heads.has_instances

    def condition_of(self, record: Record) -> str:
        """What the network is told of an image: its condition, nothing, or the next one of the model's list."""
        known = self.model.header.conditions
        value = record.attributes.get(self.attribute, "")
        if self.told == "withheld" or value not in known:
            return ""
        return known[(known.index(value) + (self.told == "wrong")) % len(known)]

    def predict(self, record: Record, description: Description) -> Predicted:
        """Prediction of an annotated image, from the cache where it is there.

        Raises:
            InputError: Image or mask cannot be used.
        """
        path = self.cache / self.told / f"{record.name}.npz"
        reference = read_reference(record, description)
        if path.is_file():
            try:
                with np.load(path, allow_pickle=False) as arrays:
                    return Predicted(name=record.name, reference=reference, **dict(arrays))
            except (OSError, ValueError, TypeError, BadZipFile):
                path.unlink(missing_ok=True)
        made = predict_record(self.model, record, reference, condition=self.condition_of(record))
        make_folder(path.parent)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                image=made.image,
                labels=made.labels,
                classes=made.classes,
                probabilities=made.probabilities,
                views=made.views,
                tta=made.tta,
            )
        return made


@dataclass(frozen=True)
class Predictions:
    """Predictions of several images by an entry; iterating holds one image at a time, and may be repeated.

    Attributes:
        trained: Networks, whose predictions are averaged.
        records: The images.
        description: What their masks mean.
        steps: What is done with each prediction.
    """

    trained: Sequence[Trained]
    records: Sequence[Record]
    description: Description
    steps: Sequence[Step] = ()

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Predicted]:
        for record in self.records:
            yield self.of(record)

    def of(self, record: Record) -> Predicted:
        """Prediction of one of the images."""
        said = [one.predict(record, self.description) for one in self.trained]
        predicted = said[0] if len(said) == 1 else together(said)
        return refined(predicted, self.steps, tells_apart=bool(self.steps) and self.trained[0].tells_apart)


def predict_record(model: Model, record: Record, reference: Reference, *, condition: str = "") -> Predicted:
    """A model's prediction of an image as it came, and in eight views; the only place where a study runs a network.

    Args:
        model: A trained model.
        record: The image.
        reference: Its annotation.
        condition: What the model is told of the image; "" for nothing.

    Raises:
        InputError: The image cannot be used.
    """
    image = read_image(record.image)
    if len(image.pixels) != 1:
        raise InputError(f"{record.image}: {len(image.pixels)} planes; save annotated planes as single files")
    predictor = Predictor.of_model(model)
    poll, seen = Poll(), list[Maps]()

    def each(member: int, maps: Maps) -> None:
        poll.add(member, maps.probabilities)
        if not seen:
            # The arrays are used again for the next view.
            seen.append(replace(maps, probabilities=maps.probabilities.copy()))
            if model.header.heads.has_instances:
                first.append(label_objects(maps, model.header))

    first: list[tuple[np.ndarray, np.ndarray]] = []
    pixels = image.pixels[0]
    maps = predictor.predict(
        predictor.prepare(pixels),
        scale=predictor.first_scale(pixels.shape[1:]),
        tta=True,
        each=each,
        condition=condition,
    )
    labels, classes = first[0] if first else label_objects(seen[0], model.header)
    return Predicted(
        name=record.name,
        image=pixels,
        reference=reference,
        labels=labels,
        classes=classes,
        probabilities=seen[0].probabilities,
        views=maps.probabilities,
        tta=poll.between_views(),
    )


def read_reference(record: Record, description: Description) -> Reference:
    """The annotation of an image.

    Raises:
        InputError: The mask cannot be read.
    """
    mask, _ = fix_mask(read_labels(record.mask), description)
    return Reference(mask, ClassNames.of(description))


def together(said: Sequence[Predicted]) -> Predicted:
    """Prediction of an ensemble: the mean of its networks' probabilities, and how far they disagree.

    Raises:
        InputError: The networks tell objects apart: their labels have no mean.
    """
    if said[0].reference.names.has_objects:
        raise InputError(
            "an ensemble of entries averages class probabilities, and these networks tell objects apart; train them as "
            "folds of one entry (folds = 3), which are averaged before objects are made"
        )
    probabilities = np.mean([one.probabilities for one in said], axis=0)
    return replace(
        said[0],
        probabilities=probabilities,
        classes=probabilities.argmax(axis=0).astype(np.uint8),
        views=np.mean([one.views for one in said], axis=0),
        tta=np.mean([one.tta for one in said], axis=0),
        ensemble=disagreement(one.probabilities for one in said),
    )
