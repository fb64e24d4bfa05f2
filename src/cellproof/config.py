"""Recipes: everything that decides a training, as frozen structs read from TOML.

Unknown keys are refused with their path. A recipe ends at the wiring: rooms get plain arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tomli_w
from msgspec import Meta

from .checks import InputError, UsageError
from .types import RENAMED_KEYS, InstanceOptions, Normalization, with_current_keys

Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
NotNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]


class DataConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is learned from.

    Attributes:
        in_channels: Channels of the network's input.
        scale: Pixels of the network's grid per pixel of an image.
        fit_side_px: Cut-outs are scaled to this shorter side when they are segmented; 0 for never.
        fit_objects: Whether pictures of much larger objects are shrunk when they are segmented.
        validation: Share held out where the data have no val split.
        balance: Attribute whose values are drawn more evenly than they occur; "" for none.
        balance_power: Values are drawn in proportion to (their number of images) ** this; 1 as
            they occur, 0 all alike.
        area_power: An image is drawn in proportion to its area ** this …
        object_power: … times (its number of objects, at least 1) ** this.
        normalization: How intensities are scaled.
    """

    in_channels: Count = 1
    scale: Positive = 1.0
    fit_side_px: Annotated[int, Meta(ge=0)] = 0
    fit_objects: bool = False
    validation: Annotated[float, Meta(gt=0, lt=1)] = 0.15
    balance: str = ""
    balance_power: NotNegative = 0.5
    area_power: NotNegative = 0.5
    object_power: NotNegative = 0.0
    normalization: Normalization = Normalization()


class ModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which network.

    Attributes:
        architecture: A name in `models`, or ``package.module:function``.
        options: Keyword arguments of its ``build``, besides the channels.
        init: Model whose weights are the start, "" for random ones.
        half_precision: Whether the model file holds 16-bit floats.
    """

    architecture: str = "unet"
    options: Mapping[str, int | float | bool | str] = {}
    init: str = ""
    half_precision: bool = False


class HeadsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which outputs besides the classes; see `types.Heads`."""

    boundary: bool = False
    distance: bool = False
    flows: bool = False


class LossConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weights of the loss's terms; see `losses.instance_loss`.

    Attributes:
        cross_entropy: Of the classes.
        dice: Soft Dice of the classes.
        boundary: Binary cross-entropy of the boundary.
        boundary_dice: Soft Dice of the boundary.
        distance: Regression of the height.
        flow: Regression of the flow.
        balance_classes: Cross-entropy weights are (share of the class) ** -this; 0 for none.
    """

    cross_entropy: NotNegative = 1.0
    dice: NotNegative = 1.0
    boundary: NotNegative = 1.0
    boundary_dice: NotNegative = 0.5
    distance: NotNegative = 2.0
    flow: NotNegative = 5.0
    balance_classes: NotNegative = 0.0


class AugmentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ranges and probabilities of the augmentation; see `augment`.

    Attributes:
        exact: Share of patches that are only flipped and turned by quarters, so that no pixel is resampled.
        flip: Whether to mirror.
        rotate: Angles of the other patches.
        scale: Their smallest and largest magnification.
        shear: Their largest shear.
        anisotropy: Their largest stretch of one axis, less 1.
        elastic_px: Standard deviation of their displacement.
        elastic_sigma_px: Distance of its control points.
        foreground_bias: Share of patches centerd on a class other than the first.
        gamma: Largest exponent, less 1.
        contrast: Largest gain, less 1.
        brightness: Largest shift.
        noise: Largest standard deviation.
        blur_px: Largest standard deviation of a blur.
        color: Largest gain of one color channel, less 1; hue and saturation in proportion.
        grayscale: Probability of removing color.
        invert: Probability of swapping dark and bright.
        illumination: Strength of uneven light.
        probability: Of each of the intensity changes.
    """

    exact: Share = 0.3
    flip: bool = True
    rotate: Literal["none", "quarter", "any"] = "any"
    scale: tuple[Positive, Positive] = (0.8, 1.25)
    shear: NotNegative = 0.0
    anisotropy: NotNegative = 0.1
    elastic_px: NotNegative = 0.0
    elastic_sigma_px: Positive = 64.0
    foreground_bias: Share = 0.5
    gamma: NotNegative = 0.3
    contrast: NotNegative = 0.2
    brightness: NotNegative = 0.1
    noise: NotNegative = 0.05
    blur_px: NotNegative = 1.0
    color: NotNegative = 0.0
    grayscale: Share = 0.0
    invert: Share = 0.0
    illumination: NotNegative = 0.0
    probability: Share = 0.3


class TrainingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The loop; see `training.loop.LoopOptions`, plus the patch and the batch."""

    patch_px: Count = 256
    batch: Count = 4
    steps: Count = 5000
    validate_every: Count = 500
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: Positive = 1e-3
    weight_decay: NotNegative = 1e-2
    schedule: Literal["constant", "cosine", "step"] = "cosine"
    warmup: Annotated[float, Meta(ge=0, lt=1)] = 0.02
    drop_every: Positive = 0.2
    drop: Share = 0.5
    horizon: Count | None = None
    cooldown: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    clip_norm: Positive = 1.0
    average_decay: Annotated[float, Meta(ge=0, lt=1)] = 0.998
    precision: Literal["auto", "f32", "bf16"] = "auto"
    patience: Count | None = None
    validation_pixels: Count = 16_000_000


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
        paper: What `reproduce` does with it; None where it reproduces nothing.
    """

    name: str
    description: str = ""
    folds: Count = 1
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    heads: HeadsConfig = HeadsConfig()
    loss: LossConfig = LossConfig()
    augment: AugmentConfig = AugmentConfig()
    training: TrainingConfig = TrainingConfig()
    instance: InstanceOptions = InstanceOptions()
    paper: PaperConfig | None = None


def recipe_names() -> list[str]:
    """Recipes that come with the package."""
    folder = files("cellproof") / "recipes"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def read_recipe(name_or_file: str) -> Recipe:
    """A recipe of the package by name, or any TOML file.

    Raises:
        InputError: There is none, or it holds unknown keys or wrong values, which are named.
    """
    return parse_recipe(recipe_text(name_or_file), source=name_or_file)


def recipe_text(name_or_file: str) -> str:
    """The TOML of a recipe as it was written, comments included.

    Raises:
        UsageError: There is neither a recipe of the package with this name nor such a file.
    """
    if name_or_file in recipe_names():
        return (files("cellproof") / "recipes" / f"{name_or_file}.toml").read_text(encoding="utf-8")
    try:
        return Path(name_or_file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"no recipe {name_or_file!r}: neither a readable TOML file nor one of {', '.join(recipe_names())}"
        ) from error


def parse_recipe(text: str, *, source: str = "recipe") -> Recipe:
    """A recipe from TOML text; see `read_recipe` for errors."""
    try:
        return msgspec.convert(with_current_keys(msgspec.toml.decode(text)), Recipe)
    except msgspec.MsgspecError as error:
        raise InputError(f"{source}: {error}") from error


def format_recipe(recipe: Recipe) -> str:
    """The recipe as TOML; `parse_recipe` of it gives the recipe back."""
    return tomli_w.dumps(_without_none(msgspec.to_builtins(recipe)))


def override(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """The recipe with ``section.key=value`` assignments applied in order, values written as in TOML.

    Raises:
        UsageError: An assignment has no ``=``, names no key, or has a value of the wrong type.
    """
    for assignment in assignments:
        recipe = _override_one(recipe, assignment)
    return recipe


def _override_one(recipe: Recipe, assignment: str) -> Recipe:
    path, equals, text = assignment.partition("=")
    if not equals:
        raise UsageError(f"--set {assignment}: wanted section.key=value, e.g. training.steps=2000")
    *sections, key = (RENAMED_KEYS.get(part, part) for part in path.strip().split("."))
    values = _without_none(msgspec.to_builtins(recipe))
    place = values
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise UsageError(f"--set {assignment}: {section} is a value, not a section")
    place[key] = _value(text.strip())
    try:
        return msgspec.convert(values, Recipe)
    except msgspec.ValidationError as error:
        known = f"; known there: {_known_keys(recipe, sections)}" if "unknown field" in str(error) else ""
        raise UsageError(f"--set {assignment}: {error}{known}") from error


def _known_keys(recipe: Recipe, sections: Sequence[str]) -> str:
    """Keys of the section that an assignment meant, or of the recipe where there is no such section."""
    place: object = recipe
    for section in sections:
        place = getattr(place, section, recipe)
    keys = place if isinstance(place, Mapping) else getattr(place, "__struct_fields__", ())
    return ", ".join(keys)


def _value(text: str) -> Any:
    try:
        return msgspec.toml.decode(f"value = {text}")["value"]
    except msgspec.MsgspecError:
        # A bare word, as in model.architecture=unet: quotes are a nuisance in a shell.
        return text


def _without_none(values: Any) -> Any:
    # TOML has no null; a missing key means the default, which is None wherever None is allowed.
    if isinstance(values, dict):
        return {key: _without_none(value) for key, value in values.items() if value is not None}
    return values
