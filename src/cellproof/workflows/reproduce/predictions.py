"""Predictions of a fold's images: made once, kept on disk while the fold is scored, never all in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np

from ...checks import InputError
from ...data.description import Description
from ...data.index import Record
from ...data.normalization import fit_channels, normalize
from ...data.samples import fix_mask
from ...difficulty.confidence import confidence, difficult_pixels
from ...difficulty.disagreement import Poll, disagreement
from ...inference.activate import Maps
from ...inference.tta import EIGHT_VIEWS, ONE_VIEW
from ...io import atomic_path, make_folder, model_hash, read_header, read_image
from ...refine import learn_steps
from ...types import IGNORE, ModelHeader, Prediction, Step
from ..collect import load_mask
from ..evaluate import ClassNames, Predicted, Reference
from ..predict import MODEL_FILE, Model, Predictor, label_objects, load_model
from .steps import classes_of, refined

KEPT = ("image", "labels", "classes", "probabilities", "views", "tta", "ensemble", "view_labels")
"""Of a prediction, what its file holds."""


@dataclass(frozen=True)
class Trained:
    """A trained network, loaded when it is first needed.

    Attributes:
        model_file: Its model.
        cache: Folder of its predictions, which may be removed at any time.
        attribute: What its conditions are values of; empty for a network that is told nothing.
        told: See `Entry.told`.
        views: Whether eight views of each image are predicted, at eight times the cost, or the image as it came alone.
    """

    model_file: Path
    cache: Path
    attribute: str = ""
    told: Literal["given", "withheld", "wrong"] = "given"
    views: bool = True

    @cached_property
    def header(self) -> ModelHeader:
        """What the model file says, for which no network is loaded."""
        return read_header(self.model_file)

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """Raw pixels (C, H, W) normalized for the network."""
        channels = self.header.in_channels - len(self.header.conditions)
        return fit_channels(normalize(pixels, self.header.normalization), channels)

    @cached_property
    def model(self) -> Model:
        """The model, ready to run."""
        return load_model(self.model_file)

    @property
    def tells_apart(self) -> bool:
        """Whether the network tells objects apart, rather than classes of pixels."""
        return self.header.heads.has_instances

    def condition_of(self, record: Record) -> str:
        """What the network is told of an image: its condition, nothing, or the next one of the model's list."""
        known = self.header.conditions
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
        made = predict_record(self.model, record, reference, views=self.views, condition=self.condition_of(record))
        make_folder(path.parent)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            arrays = {name: getattr(made, name) for name in KEPT}
            known: dict[str, Any] = {name: one for name, one in arrays.items() if one is not None}
            np.savez(file, **known)
        return made


@dataclass(frozen=True)
class Predictions:
    """Predictions of several images by an entry; iterating holds one image at a time, and may be repeated.

    Attributes:
        trained: Networks, whose predictions are averaged.
        records: The images.
        description: What their masks mean.
        steps: What is done with each prediction.
        tta: Whether the mean over views takes the place of the image as it came.
    """

    trained: Sequence[Trained]
    records: Sequence[Record]
    description: Description
    steps: Sequence[Step] = ()
    tta: bool = False

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Predicted]:
        for record in self.records:
            yield self.of(record)

    def of(self, record: Record) -> Predicted:
        """Prediction of one of the images."""
        said = [one.predict(record, self.description) for one in self.trained]
        one = said[0] if len(said) == 1 else together(said)
        image = self.trained[0].prepare(said[0].image) if self.steps else None
        tells_apart = bool(self.steps) and self.trained[0].tells_apart
        return refined(of_views(one) if self.tta else one, self.steps, image, tells_apart=tells_apart)


def learned_steps(
    trained: Sequence[Trained],
    records: Sequence[Record],
    description: Description,
    steps: Sequence[Step],
    *,
    seed: int,
) -> tuple[Step, ...]:
    """Steps with what they learn from predictions of the images that networks were trained on.

    Args:
        trained: Networks, whose probabilities are averaged.
        records: Training images, which are looked at in an order drawn by the seed.
        description: What their masks mean.
        steps: In their order; nothing is predicted where none learns.
        seed: Of all draws.

    Raises:
        InputError: An image cannot be used, or nothing can be learned.
    """

    def examples() -> Iterator[tuple[Prediction, np.ndarray]]:
        for place in np.random.default_rng(seed).permutation(len(records)):
            reference = read_reference(records[place], description)
            pixels = one_plane(records[place])
            told = [_probabilities(one, pixels, one.condition_of(records[place])) for one in trained]
            probabilities = np.mean(told, axis=0)
            yield (
                Prediction(
                    probabilities,
                    probabilities.argmax(axis=0).astype(np.uint8),
                    classes_of(reference.names),
                    difficult_pixels(confidence(probabilities)),
                    image=trained[0].prepare(pixels),
                ),
                _class_map(reference),
            )

    return learn_steps(steps, examples, seed=seed)[0]


def _class_map(reference: Reference) -> np.ndarray:
    """(H, W) uint8 classes of an annotation, of which objects are one foreground."""
    classes = reference.mask > 0 if reference.names.has_objects else reference.mask
    return np.where(reference.ignored, IGNORE, classes).astype(np.uint8)


def _probabilities(trained: Trained, pixels: np.ndarray, condition: str) -> np.ndarray:
    """Class probabilities of an image as it came, in one view."""
    predictor = Predictor.of_model(trained.model)
    scale = predictor.first_scale(pixels.shape[1:])
    maps = predictor.predict(trained.prepare(pixels), scale=scale, condition=condition)
    return np.asarray(maps.probabilities)


def combined(trained: Sequence[Trained], place: Path) -> Trained:
    """One model of several networks that tell objects apart, as `Model.combine` writes it.

    Args:
        trained: The networks.
        place: Folder that its file is written to.

    Raises:
        InputError: Networks that cannot be one ensemble.
    """
    file = make_folder(place) / MODEL_FILE
    Model.combine([one.model_file for one in trained], file)
    return Trained(file, trained[0].cache.parent / model_hash(file)[:12], trained[0].attribute, views=trained[0].views)


def predict_record(
    model: Model, record: Record, reference: Reference, *, views: bool = True, condition: str = ""
) -> Predicted:
    """A model's prediction of an image as it came, and in eight views; the only place where a study runs a network.

    Args:
        model: From `load_model`.
        record: The image.
        reference: Its annotation.
        views: Whether all eight views are predicted, or the image as it came alone.
        condition: What the model is told of the image; "" for nothing.

    Raises:
        InputError: The image cannot be used.
    """
    pixels = one_plane(record)
    predictor = Predictor.of_model(model)
    poll, seen = Poll(), list[Maps]()

    def each(member: int, maps: Maps) -> None:
        poll.add(member, maps.probabilities)
        if not seen:
            # The arrays are used again for the next view.
            seen.append(replace(maps, probabilities=maps.probabilities.copy()))
            if model.header.heads.has_instances and not model.parts:
                first.append(label_objects(maps, model.header, image=prepared))

    first: list[tuple[np.ndarray, np.ndarray]] = []
    prepared, scale = predictor.prepare(pixels), predictor.first_scale(pixels.shape[1:])
    chosen = EIGHT_VIEWS if views else ONE_VIEW
    maps = predictor.predict(prepared, scale=scale, views=chosen, each=each, condition=condition)
    if model.parts:
        # The first view of the first part is not yet the ensemble's prediction of the image as it came.
        seen[:] = [predictor.predict(prepared, scale=scale, condition=condition)]
    # Pieces of foreground that are too small for an object are none, where objects are scored.
    smallest = model.header.instance.smallest_area_px if reference.names.has_objects else 0
    labels, classes = first[0] if first else label_objects(seen[0], model.header, min_area_px=smallest, image=prepared)
    return Predicted(
        name=record.name,
        image=pixels,
        reference=reference,
        labels=labels,
        classes=classes,
        probabilities=seen[0].probabilities,
        views=maps.probabilities,
        tta=poll.between_views() if views else None,
        ensemble=poll.between_members() if model.parts else None,
        view_labels=label_objects(maps, model.header, min_area_px=smallest, image=prepared)[0] if views else None,
    )


def of_views(one: Predicted) -> Predicted:
    """The prediction that the mean over views is.

    Raises:
        InputError: It has no objects of its own, as an ensemble's mean has not.
    """
    if one.view_labels is None or one.views is None:
        raise InputError("an entry with tta needs the objects of its views, and this ensemble has none; leave tta out")
    return replace(
        one, labels=one.view_labels, probabilities=one.views, classes=one.views.argmax(axis=0).astype(np.uint8)
    )


def one_plane(record: Record) -> np.ndarray:
    """Raw pixels (C, H, W) of an annotated image.

    Raises:
        InputError: It cannot be read, or has several planes.
    """
    image = read_image(record.image)
    if len(image.pixels) != 1:
        raise InputError(f"{record.image}: {len(image.pixels)} planes; save annotated planes as single files")
    return np.asarray(image.pixels[0])


def read_reference(record: Record, description: Description) -> Reference:
    """The annotation of an image.

    Raises:
        InputError: The mask cannot be read.
    """
    mask, _ = fix_mask(load_mask(record.mask, description), description)
    return Reference(mask, ClassNames.of(description))


def together(said: Sequence[Predicted]) -> Predicted:
    """Prediction of an ensemble of class maps: the mean of its networks' probabilities, and how far they disagree."""
    tta = [one.tta for one in said if one.tta is not None]
    probabilities = np.mean([one.probabilities for one in said], axis=0)
    return replace(
        said[0],
        probabilities=probabilities,
        classes=probabilities.argmax(axis=0).astype(np.uint8),
        views=np.mean([one.views for one in said], axis=0),
        tta=np.mean(tta, axis=0) if len(tta) == len(said) else None,
        ensemble=disagreement(one.probabilities for one in said),
        view_labels=None,
    )
