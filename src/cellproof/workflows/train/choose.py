"""Which recipe is carried out: the one asked for, or one planned from the data."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from ... import detectors, models
from ...checks import InputError
from ...data.description import Description
from ...data.index import Record
from ...instances import methods, needs
from ...losses import VIEWS
from ...recipe import DataConfig, HeadConfig, Recipe, override, read_recipe
from ...refine import check_learning, explain
from ...types import LossTerm
from ..collect import load_sample
from ..predict import find_model
from .build import build_module, heads_of, terms_of
from .conditions import with_conditions
from .plan import plan
from .start import start_from
from .state import TrainRequest
from .survey import Survey, survey

SURVEYED = 24
"""Samples that a plan is made from; enough for medians."""


def choose_recipe(
    request: TrainRequest, records: Sequence[Record], description: Description, device: str
) -> tuple[Recipe, list[str]]:
    """The recipe that was asked for, or one planned from the data; with the overrides applied.

    Returns:
        The recipe, and why it is what it is, a sentence each.

    Raises:
        InputError: The recipe cannot be read, does not fit the data, or names a model that is not there.
    """
    if request.recipe is not None:
        recipe, reasons = read_recipe(request.recipe), [f"recipe {request.recipe}, as it stands"]
    else:
        facts = _facts(records, description)
        default = request.init if request.init is not None else _default_model(facts)
        recipe, reasons = plan(facts, description, seconds=request.seconds, device=device, default_model=default)
    if request.init is not None:
        recipe = msgspec.structs.replace(recipe, model=msgspec.structs.replace(recipe.model, init=request.init))
    if request.folds is not None:
        recipe = msgspec.structs.replace(recipe, folds=request.folds)
        reasons = [*reasons, f"{request.folds} folds, as asked"]
    if request.settings:
        recipe = override(recipe, request.settings)
        reasons = [*reasons, f"changed by hand: {', '.join(request.settings)}"]
    if recipe.model.architecture in detectors.names() and not recipe.heads:
        # A detector has one output, which need not be named.
        recipe = msgspec.structs.replace(recipe, heads=(HeadConfig("detections"),))
    if recipe.data.condition:
        recipe, reason = with_conditions(recipe, records)
        reasons = [*reasons, reason]
    _check(recipe, description)
    return recipe, reasons


def _check(recipe: Recipe, description: Description) -> None:
    """Refuse before anything is written what would fail after minutes."""
    if ":" in recipe.model.architecture:
        raise InputError(
            f"architecture {recipe.model.architecture!r} is code outside of the package, and a model file never names "
            "code of its own, so no command could open the trained model; put the file into a folder of "
            f"cellproof.models.__path__ and name it (there: {', '.join([*models.names(), *detectors.names()])})"
        )
    heads = heads_of(recipe, description)
    if heads.has_instances and description.masks == "semantic":
        raise InputError(
            f"recipe {recipe.name!r} learns to tell objects apart, but the masks of {description.name!r} hold classes; "
            'give no recipe, or write masks = "instances" into dataset.toml if they hold object ids',
            argument="recipe",
        )
    terms = terms_of(recipe, heads)
    if heads.has_instances:
        missing = set(needs(recipe.instance.method)) - set(heads.names)
        if missing:
            possible = ", ".join(method for method in methods() if set(needs(method)) <= set(heads.names))
            raise InputError(
                f"recipe {recipe.name!r}: instance.method = {recipe.instance.method!r} needs the output "
                f"{', '.join(sorted(missing))}, which [[heads]] lack; possible with these heads: {possible}"
            )
    if recipe.steps and heads.has_instances:
        raise InputError(f"recipe {recipe.name!r} repairs class maps, but learns to tell objects apart; leave one out")
    explain(recipe.steps, description.classes)
    check_learning(recipe.steps)
    module = build_module(recipe, description)
    if recipe.model.init:
        start_from(module, recipe.model.init)
    _check_views(recipe, terms, gives_views=getattr(module, "gives_views", False))


def _check_views(recipe: Recipe, terms: Sequence[LossTerm], *, gives_views: bool) -> None:
    """Refuse a network that learns from views on which no loss term looks, and a term without views.

    Raises:
        InputError: Naming what to do.
    """
    looks = any(term.on == VIEWS and term.weight for term in terms)
    architecture = recipe.model.architecture
    if looks and not gives_views:
        raise InputError(
            f"recipe {recipe.name!r} has a loss term on views, and its network {architecture} gives none with these "
            "options; leave the term out, or choose an option that learns from images alone"
        )
    if gives_views and not looks:
        raise InputError(
            f"the network {architecture} of recipe {recipe.name!r} learns from views of images, on which no loss term "
            'looks; add one, such as [[loss.terms]] name = "squared_error", on = "views"'
        )


def _facts(records: Sequence[Record], description: Description) -> Survey:
    places = np.linspace(0, len(records) - 1, min(SURVEYED, len(records))).astype(int)
    samples = [load_sample(records[place], description, DataConfig())[0] for place in places]
    classes = len(description.classes) + (description.masks == "instances")
    return survey(samples, images=len(records), classes=classes)


def _default_model(facts: Survey) -> str:
    """The shipped model, where its input fits."""
    if facts.channels not in (1, 3):
        return ""
    try:
        find_model("nuclei")
    except InputError:
        return ""
    return "nuclei"
