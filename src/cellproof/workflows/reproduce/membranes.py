"""What a trained network and repairs of its class maps are worth on membranes (Matsuzuki and Hotta 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add

import numpy as np

from ...data.description import Description
from ...data.index import Record
from ...difficulty.disagreement import Poll, disagreement
from ...difficulty.measures import DifficultyMaps, difficulty_maps
from ...inference.activate import Maps
from ...io import read_image
from ...metrics import partition, pixel
from ...metrics.gaps import Gaps
from ...metrics.membranes import MembraneImage, count_membranes, membrane_rows
from ...metrics.ranking import auroc
from ...metrics.topology import cells
from ...recipe import DataConfig, PaperSet, RepairConfig
from ...refine.reassign import reassign
from ...refine.reconnect import Gap, close_gaps, find_gaps
from ...types import IGNORE
from ..collect import load_sample
from ..predict import Model, Predictor
from .sets import class_number

REPAIRS = ("none", "reassign", "reconnect")
"""What is done with a network's class map before it is scored."""

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)
"""Least evidence of a gap that is closed, of which validation chooses."""

_WIDTH = "mean width px prediction"

NOTHING_CLOSED = 1.01
"""A threshold that no evidence reaches."""


@dataclass(frozen=True)
class Roles:
    """Numbers of the classes that the repairs speak of.

    Attributes:
        connected: The membrane.
        rest: What difficult pixels become last.
        compact: What they become before; None for none.
        classes: Names of all classes.
        tolerance_px: How far membranes may lie from the reference's and still be the same.
    """

    connected: int
    rest: int
    compact: int | None
    classes: tuple[str, ...]
    tolerance_px: float


def find_roles(config: PaperSet, description: Description) -> Roles:
    """Roles of the classes of a set.

    Raises:
        InputError: A class is not there.
    """
    return Roles(
        connected=class_number(description, config.connected),
        rest=class_number(description, config.rest),
        compact=class_number(description, config.compact) if config.compact else None,
        classes=description.classes,
        tolerance_px=config.tolerance_px,
    )


@dataclass(frozen=True)
class Predicted:
    """A picture with its reference and what a network says of it.

    Attributes:
        name: Of the picture.
        image: (C, H, W) as read, for pictures.
        reference: (H, W) uint8, 255 not annotated.
        probabilities: (K, H, W) float32, of the picture as it came.
        views: (K, H, W) float32, mean over flips and quarter turns.
        tta: (H, W) disagreement between these.
        ensemble: (H, W) disagreement between networks; None of one network.
    """

    name: str
    image: np.ndarray
    reference: np.ndarray
    probabilities: np.ndarray
    views: np.ndarray
    tta: np.ndarray
    ensemble: np.ndarray | None = None

    @cached_property
    def classes(self) -> np.ndarray:
        """(H, W) uint8, the likeliest class; not annotated pixels are marked, for no repair may build on them."""
        classes: np.ndarray = self.probabilities.argmax(axis=0).astype(np.uint8)
        classes[~self.annotated] = IGNORE
        return classes

    @property
    def annotated(self) -> np.ndarray:
        """(H, W) bool."""
        mask: np.ndarray = self.reference != IGNORE
        return mask

    @cached_property
    def difficulty(self) -> DifficultyMaps:
        """All measures of its difficulty; the mean that the difficult pixels lie below is of annotated ones."""
        return difficulty_maps(self.probabilities, tta=self.tta, ensemble=self.ensemble, within=self.annotated)


def predict_record(model: Model, record: Record, description: Description) -> Predicted:
    """What a model says of an annotated picture: as it came, as in the paper, and in eight views.

    Args:
        model: Of classes, without instance heads.
        record: The picture.
        description: Of its mask.

    Raises:
        InputError: Picture or mask cannot be used.
    """
    predictor = Predictor.of_model(model)
    # At the image's own scale: reference and repairs stay on its grid whatever scale the network works at.
    sample, _ = load_sample(
        record, description, DataConfig(in_channels=predictor.in_channels, normalization=predictor.normalization)
    )
    poll, seen = Poll(), list[np.ndarray]()

    def each(member: int, maps: Maps) -> None:
        poll.add(member, maps.probabilities)
        if not seen:
            seen.append(maps.probabilities.copy())

    maps = predictor.predict(sample.image, scale=predictor.first_scale(sample.class_map.shape), tta=True, each=each)
    return Predicted(
        name=record.name,
        image=read_image(record.image).pixels[0],
        reference=sample.class_map,
        probabilities=seen[0],
        views=maps.probabilities,
        tta=poll.between_views(),
    )


def together(said: Sequence[Predicted]) -> Predicted:
    """What several networks say of one picture: the means, and how far they disagree."""
    return replace(
        said[0],
        probabilities=np.mean([one.probabilities for one in said], axis=0),
        views=np.mean([one.views for one in said], axis=0),
        tta=np.mean([one.tta for one in said], axis=0),
        ensemble=disagreement(one.probabilities for one in said),
    )


@dataclass(frozen=True)
class Choice:
    """What `reconnect` is told that validation pictures told.

    Attributes:
        threshold: Least evidence of a gap that is closed.
        smallest_px: No region of fewer pixels is closed off.
    """

    threshold: float
    smallest_px: float


@dataclass(frozen=True)
class Repaired:
    """Class maps of one picture, by repair; gaps are searched once for all thresholds."""

    picture: Predicted
    roles: Roles
    repair: RepairConfig
    smallest_px: float

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """Places where the membrane may be interrupted, by what eight views make of it."""
        return find_gaps(
            self.picture.classes,
            self.picture.views[self.roles.connected],
            connected=self.roles.connected,
            longest_px=self.repair.longest_gap_px,
            smallest_px=self.smallest_px,
        )

    def classes(self, repair: str, *, threshold: float) -> np.ndarray:
        """(H, W) uint8 after a repair of `REPAIRS`."""
        roles, own = self.roles, self.picture.classes
        if repair == "reassign":
            return reassign(
                own,
                self.picture.difficulty.difficult,
                connected=roles.connected,
                rest=roles.rest,
                compact=roles.compact,
                rounds=self.repair.rounds,
            )
        if repair == "reconnect":
            return close_gaps(
                own,
                self.gaps,
                connected=roles.connected,
                rest=roles.rest,
                threshold=threshold,
                spur_px=self.repair.spur_px,
            ).class_map
        return own

    def count(self, classes: np.ndarray) -> MembraneImage:
        """Membrane counts of a class map of the picture."""
        picture, roles = self.picture, self.roles
        return count_membranes(
            classes == roles.connected,
            picture.reference == roles.connected,
            network=picture.classes == roles.connected,
            tolerance_px=roles.tolerance_px,
            ignored=~picture.annotated,
        )


def choose(pictures: Sequence[Predicted], roles: Roles, repair: RepairConfig) -> Choice:
    """Settings of `reconnect` that serve the enclosed cells of validation pictures best.

    Of the thresholds at which false closings are not too many, the one of the lowest adapted Rand error; of equals the
    one that closes more. `NOTHING_CLOSED` where there is none. Too many are more than a share (`most_false`) of all
    closings and one standard deviation of such a count, for a few pictures show a few dozen closings. Regions are too
    small below a share (`smallest_region`) of the median annotated cell.
    """
    smallest_px = repair.smallest_region * _median_cell_px(pictures, roles)
    repaired = [Repaired(picture, roles, repair, smallest_px) for picture in pictures]
    best, chosen = (math.inf, 0), NOTHING_CLOSED
    for threshold in (NOTHING_CLOSED, *sorted(THRESHOLDS, reverse=True)):
        counts = [one.count(one.classes("reconnect", threshold=threshold)) for one in repaired]
        gaps = reduce(add, [count.gaps for count in counts])
        error = partition.adapted_rand_error(reduce(add, [count.partition for count in counts]))
        key = (float(error), -gaps.closed)
        if gaps.falsely_closed <= _most_false(gaps, repair.most_false) and key < best:
            best, chosen = key, threshold
    return Choice(chosen, smallest_px)


def _most_false(gaps: Gaps, share: float) -> float:
    """So many closings may be false: the share of all, and a standard deviation of the count that it would give."""
    closings = gaps.closed + gaps.falsely_closed
    return share * closings + math.sqrt(share * (1 - share) * closings)


def _median_cell_px(pictures: Sequence[Predicted], roles: Roles) -> float:
    """Of the cells that the reference membranes enclose; 0 without any."""
    areas = [
        np.bincount(cells(picture.reference == roles.connected, ignored=~picture.annotated).ravel())[1:]
        for picture in pictures
    ]
    every = np.concatenate(areas)
    return float(np.median(every)) if every.size else 0.0


def score_repairs(
    pictures: Sequence[Predicted], roles: Roles, repair: RepairConfig, *, choice: Choice
) -> dict[str, dict[str, float]]:
    """Every score of every repair on the pictures of a fold, pooled over them: repair → name → value."""
    repaired = [Repaired(picture, roles, repair, choice.smallest_px) for picture in pictures]
    scores = {method: _score(repaired, method, choice.threshold) for method in REPAIRS}
    own_px = scores["none"][_WIDTH]
    for values in scores.values():
        values["width change %"] = 100 * (values[_WIDTH] / own_px - 1) if own_px else math.nan
    return scores


def _score(repaired: Sequence[Repaired], method: str, threshold: float) -> dict[str, float]:
    names = repaired[0].roles.classes
    maps = [one.classes(method, threshold=threshold) for one in repaired]
    confusion = reduce(
        add,
        [
            pixel.confusion(classes, one.picture.reference, classes=len(names))
            for one, classes in zip(repaired, maps, strict=True)
        ],
    )
    scores = {
        f"{title} {name}": float(value)
        for title, formula in (("recall", pixel.recall), ("precision", pixel.precision), ("IoU", pixel.iou))
        for name, value in zip(names, formula(confusion), strict=True)
    }
    scores["mean IoU"] = pixel.mean_over_classes(confusion, pixel.iou)
    for row in membrane_rows([one.count(classes) for one, classes in zip(repaired, maps, strict=True)]):
        if row.averaging == "pooled":
            scores[f"{row.metric} {row.class_or_threshold}".strip()] = row.value
    return scores


def score_difficulty(pictures: Sequence[Predicted]) -> dict[str, float]:
    """AUROC of each measure of difficulty against wrong pixels, pooled over annotated pixels; name → value.

    The paper's map is a measure of two values.
    """
    wrong = np.concatenate([(p.classes != p.reference)[p.annotated] for p in pictures])
    names = [name for name, _ in pictures[0].difficulty.named()]
    measures = {
        name: np.concatenate([dict(p.difficulty.named())[name][p.annotated] for p in pictures]) for name in names
    }
    measures["difficult (f < mean)"] = np.concatenate([p.difficulty.difficult[p.annotated] for p in pictures]).astype(
        float
    )
    return {name: auroc(values, wrong) for name, values in measures.items()}
