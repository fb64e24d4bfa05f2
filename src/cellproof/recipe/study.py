"""A whole recipe, and what `reproduce` does with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ..types import InstanceOptions, Step
from .sections import (
    AugmentConfig,
    Count,
    DataConfig,
    HeadConfig,
    LossConfig,
    ModelConfig,
    NotNegative,
    Share,
    TrainingConfig,
)


class RepairConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How class maps are repaired; see `refine`.

    Attributes:
        rounds: How often a class spreads into difficult pixels; None until nothing changes.
        longest_gap_px: Gaps of a membrane up to this long are candidates for closing.
        spur_px: Dead ends of a membrane shorter than this are removed.
        smallest_region: Share of the median annotated cell's area below which no region is closed off.
        most_false: Largest share of false ones among all closings that validation accepts; a standard deviation of
            that count is allowed on top.
    """

    rounds: Count | None = None
    longest_gap_px: Count = 40
    spur_px: Annotated[int, Meta(ge=0)] = 10
    smallest_region: Share = 0.15
    most_false: Share = 0.1


class PaperSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A set that a paper, or its reproduction, is scored on.

    Attributes:
        name: Folder of the set, under the folder of all sets.
        connected: Class whose connection is scored and repaired.
        rest: Class that difficult pixels become last.
        compact: Class that they become before; "" for none.
        tolerance_px: How far membranes may lie from the reference's and still be the same.
        validation: Share of a fold's training images that is held out to choose with.
        simulate: Kind of the simulated pictures that stand in where there is no such folder; "" for none.
        images: How many of them are made.
        quality: How good they are.
    """

    name: str
    connected: str = "membrane"
    rest: str = "cytoplasm"
    compact: str = ""
    tolerance_px: NotNegative = 3.0
    validation: Annotated[float, Meta(gt=0, lt=1)] = 0.125
    simulate: str = ""
    images: Count = 50
    quality: Literal["good", "low"] = "good"


class PaperProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How large a reproduction is.

    Attributes:
        note: What is smaller than in the paper; stands in every row of the tables.
        networks: Architecture and options of each network, by the name in the tables.
        settings: ``section.key=value`` changes to the recipe.
        folds: Into how many folds each set is divided.
        runs: How many of the folds are carried out.
        images: Pictures of each set that are used, drawn by the seed; None for all.
    """

    note: str
    networks: Mapping[str, ModelConfig]
    settings: tuple[str, ...] = ()
    folds: Annotated[int, Meta(ge=2)] = 5
    runs: Count = 5
    images: Annotated[int, Meta(ge=4)] | None = None


class PaperConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `reproduce` does with a recipe.

    Attributes:
        reference: Authors, year, place, DOI.
        protocol: How it is scored, a name of `reproduction.PROTOCOLS`.
        sets: What on.
        profiles: "full" as published, and smaller ones.
        repair: Of the class maps.
    """

    reference: str
    protocol: str
    sets: tuple[PaperSet, ...]
    profiles: Mapping[str, PaperProfile]
    repair: RepairConfig = RepairConfig()


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One training, complete; the data and the seed make the rest.

    Attributes:
        name: Of the model that comes of it.
        description: One sentence.
        folds: Trainings, whose networks become one model.
        data: What is learned from.
        model: Which network.
        heads: Its outputs besides the classes.
        loss: What is minimized.
        augment: How samples are varied.
        training: The loop.
        instance: How objects are made.
        steps: Repairs of class maps; see `refine`.
        paper: What `reproduce` does with it; None where it reproduces nothing.
    """

    name: str
    description: str = ""
    folds: Count = 1
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    heads: tuple[HeadConfig, ...] = ()
    loss: LossConfig = LossConfig()
    augment: AugmentConfig = AugmentConfig()
    training: TrainingConfig = TrainingConfig()
    instance: InstanceOptions = InstanceOptions()
    steps: tuple[Step, ...] = ()
    paper: PaperConfig | None = None
