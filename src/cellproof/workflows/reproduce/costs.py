"""What the entries of a study cost on a set: measured once, kept beside its folds, shown as a table."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ...checks import InputError
from ...io import read_image, read_json, write_json
from ...recipe import Recipe, format_recipe
from ...report.study_page import StudyTable
from ..train import choose_device, measure_costs
from .cells import fingerprint
from .fold import Fold

COSTS_FILE = "costs.json"


class EntryCost(msgspec.Struct, frozen=True):
    """Of an entry; an ensemble costs what all its networks do.

    Attributes:
        parameters: Learned numbers.
        multiply_adds: Of one forward pass of an image.
        step_s: Seconds of an optimizer step of every training.
        image_s: Seconds of one forward pass of an image.
    """

    parameters: int
    multiply_adds: int
    step_s: float
    image_s: float


class StoredCosts(msgspec.Struct, frozen=True):
    """Costs of all entries on one set, as they are kept.

    Attributes:
        fingerprint: Of the recipes, the classes, the size of an image, and the device.
        shape: Height and width of an image.
        entries: By name.
    """

    fingerprint: str
    shape: tuple[int, int]
    entries: dict[str, EntryCost]


def keep_costs(fold: Fold) -> None:
    """Measure the costs of all entries on a set, unless they are there already, and write them.

    Raises:
        InputError: The first image cannot be read, or the file not written.
    """
    print_ = _fingerprint(fold)
    if _read(_path(fold), print_) is not None:
        return
    study = fold.study
    height, width = read_image(fold.split.test[0].image).pixels.shape[-2:]
    study.watcher.say(f"{fold.found.title}: measuring what each entry costs")
    # Trainings of one entry with several seeds have one recipe, and are measured once.
    texts = {name: _nameless(recipe) for name, recipe in study.plan.recipes.items()}
    found = measure_costs(
        {texts[name]: recipe for name, recipe in study.plan.recipes.items()},
        fold.found.description,
        shape=(height, width),
        device=choose_device(study.request.device),
    )
    entries = {}
    for name, planned in study.plan.entries.items():
        own = [found[texts[training]] for training in planned.trainings if texts[training] in found]
        if len(own) < len(planned.trainings):
            continue
        entries[name] = EntryCost(
            sum(one.parameters for one in own),
            sum(one.multiply_adds for one in own),
            sum(one.step_s for one in own),
            sum(one.image_s for one in own),
        )
    write_json(_path(fold), StoredCosts(print_, (height, width), entries))


def cost_table(fold: Fold) -> StudyTable | None:
    """The costs of all entries on a set; None where they were not measured."""
    stored = _read(_path(fold), _fingerprint(fold))
    if stored is None:
        return None
    rows = tuple(
        (
            name,
            f"{cost.parameters:,}",
            f"{cost.multiply_adds / 1e9:.2f}",
            f"{cost.step_s:.3f}",
            f"{cost.image_s:.3f}",
        )
        for name, cost in stored.entries.items()
    )
    return StudyTable(
        f"{fold.found.title}: what each entry costs",
        f"an image of {stored.shape[0]} × {stored.shape[1]} px; medians of seconds, measured in turns; a step is one "
        "optimizer step of every training of the entry, without making its batch",
        ("entry", "parameters", "10⁹ multiply-adds an image", "s a step", "s an image"),
        1,
        rows,
    )


def _nameless(recipe: Recipe) -> str:
    return format_recipe(msgspec.structs.replace(recipe, name=""))


def _fingerprint(fold: Fold) -> str:
    study = fold.study
    return fingerprint(
        recipes={name: format_recipe(recipe) for name, recipe in study.plan.recipes.items()},
        classes=list(fold.found.description.classes),
        entries=list(study.plan.entries),
        device=study.request.device,
    )


def _path(fold: Fold) -> Path:
    return fold.folder.parent / COSTS_FILE


def _read(path: Path, print_: str) -> StoredCosts | None:
    if not path.is_file():
        return None
    try:
        stored = msgspec.convert(read_json(path), StoredCosts)
    except (InputError, msgspec.ValidationError):
        return None
    return stored if stored.fingerprint == print_ else None
