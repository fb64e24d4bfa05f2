"""A whole recipe, and what `reproduce` does with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

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
    TrainingConfig,
)


class Simulated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Simulated images that stand in where a set is not there.

    Attributes:
        kind: Kind of the images, as `cellproof simulate` names it.
        quality: How good they are.
        size_px: Rows and columns of each.
        images: How many of them are made, where the profile does not say.
    """

    kind: str
    quality: Literal["good", "low"] = "good"
    images: Count = 50
    size_px: Count = 512


class Division(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which images are learned from, chosen with and scored on.

    Attributes:
        folds: Number of folds, each of which is scored once; where ``test`` is empty.
        validation: Fraction of the training images that is held out to choose with, where the set has no split
            ``val`` of its own.
        blocks: So many groups of neighbors are made of images that are slices of one stack, for neighbors resemble
            each other; 0 for none.
        test: Names of the official test splits, which are folders of the set; all else is learned from. One that is
            not there is left out. Each of several is scored as a group of its own too …
        pool: … and all together, unless this says no: challenges that state two numbers never pool them.
    """

    folds: Annotated[int, Meta(ge=2)] = 5
    validation: Annotated[float, Meta(gt=0, lt=1)] = 0.125
    blocks: Annotated[int, Meta(ge=0)] = 0
    test: tuple[str, ...] = ()
    pool: bool = True


class StudySetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A data set that a study trains and scores on.

    Attributes:
        name: Folder of the set, under the folder of all sets.
        join: Folders of sets that are one set here; each image says in its attribute ``set`` which it is from.
        condition: Attribute of its images that recipes of the study call ``condition``; empty for none.
        simulate: What stands in where there is no such folder; None for nothing.
        division: Division of this set; None for the study's.
        options: Options of the protocols that hold for this set, over those of the study.
        where: Attribute → value that an image must have to be used; empty for all images.
    """

    name: str
    join: tuple[str, ...] = ()
    condition: str = ""
    simulate: Simulated | None = None
    division: Division | None = None
    options: Mapping[str, Any] = {}
    where: Mapping[str, str] = {}


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of a study's tables.

    Attributes:
        name: Name in the tables.
        set: ``section.key=value`` changes to any section of the recipe.
        same_as: Entry whose training is used again; with ``steps``, it is only post-processed otherwise.
        ensemble_of: Entries whose predictions are averaged; nothing is trained.
        members: Times that each entry of ``ensemble_of`` is trained, each time with a seed of its own.
        steps: Refine steps that predictions pass before they are scored: names, or tables of name and options.
        told: What a conditioned network is told of an image that is scored: its condition; nothing; or another one's.
        tta: Whether the mean over the eight flips and quarter turns is scored, and not the image as it came.
    """

    name: str
    set: tuple[str, ...] = ()
    same_as: str = ""
    ensemble_of: tuple[str, ...] = ()
    members: Count = 1
    steps: tuple[Step | str, ...] = ()
    told: Literal["given", "withheld", "wrong"] = "given"
    tta: bool = False


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number of the paper, shown beside ours.

    Attributes:
        set: Name of the set.
        entry: Name of the entry.
        metric: Metric, as our rows name it.
        value: The paper's number, in our unit.
        of: Class or threshold, as our rows name it.
        variant: Variant of the protocol; empty for its first.
        group: Test split that it is about; empty for all images.
    """

    set: str
    entry: str
    metric: str
    value: float
    of: str = ""
    variant: str = ""
    group: str = ""


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How large a reproduction is.

    Attributes:
        note: What is smaller than in the paper; stands in every row of the tables.
        set: ``section.key=value`` changes to the recipe, over those of the entries.
        entries: Entries that are carried out, each with changes of its own on top; empty for all entries.
        folds: Into how many folds each set is divided; None leaves it to the division.
        only_folds: How many of the folds are carried out, of every set or by name of the set; all where it names none.
        images: Images of each set that are used, sampled by the seed; None for all.
    """

    note: str
    set: tuple[str, ...] = ()
    entries: Mapping[str, tuple[str, ...]] = {}
    folds: Annotated[int, Meta(ge=2)] | None = None
    only_folds: Count | Mapping[str, Count] | None = None
    images: Annotated[int, Meta(ge=4)] | None = None


class StudyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `reproduce` does with a recipe.

    Attributes:
        reference: Authors, year, place, DOI.
        protocols: How predictions are scored: names of files in ``workflows/evaluate/protocols``.
        sets: Data sets to train and score on.
        entries: Rows of the tables.
        profiles: "full" as published, and smaller ones.
        division: Division of every set that has none of its own.
        baseline: Entry that the others are compared with, image by image; empty for none.
        options: Options of each protocol, by its name.
        published: The paper's own numbers.
        costs: Whether parameters, arithmetic and seconds of each entry are measured.
        examples: Test images that are shown side by side, evenly from all of them.
    """

    reference: str
    protocols: tuple[str, ...]
    sets: tuple[StudySetConfig, ...]
    entries: tuple[Entry, ...]
    profiles: Mapping[str, Profile]
    division: Division = Division()
    baseline: str = ""
    options: Mapping[str, Mapping[str, Any]] = {}
    published: tuple[Published, ...] = ()
    costs: bool = False
    examples: Count = 1


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
        study: What `reproduce` does with it; None where it reproduces nothing.
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
    study: StudyConfig | None = None
