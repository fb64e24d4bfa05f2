"""A paper's recipe, carried out: every network on every fold of every set, scored as the paper scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from ... import __version__
from ...checks import InputError, UsageError
from ...io import folder_lock, make_folder, read_json, write_csv, write_json, write_text
from ...recipe import ModelConfig, PaperConfig, PaperProfile, Recipe, format_recipe, override, read_recipe
from ...report.study_page import StudyPictures
from ..predict import MODEL_FILE, Model, load_model
from ..train import STATE_FILE, TrainRequest, Watcher, choose_device, run_training
from .membranes import (
    REPAIRS,
    Predicted,
    Repaired,
    choose,
    find_roles,
    predict_record,
    score_difficulty,
    score_repairs,
    together,
)
from .page import page, pictures
from .sets import Division, StudySet, divide_set, find_set, write_fold
from .tables import Line, Scored, columns, summarize

_T = TypeVar("_T")

PROTOCOLS = ("membranes",)
"""Ways of scoring that a recipe may name."""

TOGETHER = "all together"
"""Name in the tables of the mean of a fold's networks."""

TABLES, SCORES, REPORT = "tables.csv", "scores.json", "report.html"


@dataclass(frozen=True)
class ReproduceRequest:
    """What to reproduce, and how large.

    Attributes:
        recipe: Name or file of a recipe with a section ``[paper]``.
        data: Folder of sets by name.
        out: Folder for everything; what is complete there is not done again.
        profile: A name in the recipe's profiles.
        folds: Folds to carry out of each set; None leaves it to the profile.
        sets: Names of the sets wanted; none for all.
        networks: Names of the networks wanted; none for all.
        seed: Of every draw.
        device: "auto", "cpu", "cuda" or "mps".
    """

    recipe: str
    data: Path
    out: Path
    profile: str = "full"
    folds: int | None = None
    sets: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    seed: int = 0
    device: str = "auto"


@dataclass
class _Job:
    """What stays the same in a reproduction, and what came of it so far."""

    request: ReproduceRequest
    recipe: Recipe
    paper: PaperConfig
    profile: PaperProfile
    watcher: Watcher
    scored: list[Scored] = field(default_factory=list)
    pictures: list[StudyPictures] = field(default_factory=list)


def reproduce(request: ReproduceRequest, watcher: Watcher) -> list[Line]:
    """Train, score and write ``tables.csv``, ``report.html`` and the trained models.

    Raises:
        UsageError: No such recipe, profile, set or network, or a recipe without ``[paper]``.
        InputError: A set cannot be used, or nothing can be written.
    """
    choose_device(request.device)
    job = _open(request, watcher)
    with folder_lock(make_folder(request.out) / ".lock"):
        for study in _studies(job):
            for number, division in enumerate(divide_set(study, job.profile, seed=request.seed), start=1):
                _carry_out(job, study, number, division)
    if not job.scored:
        raise InputError(f"{request.data}: holds none of the sets {', '.join(s.name for s in job.paper.sets)}")
    return summarize(job.scored)


def _open(request: ReproduceRequest, watcher: Watcher) -> _Job:
    recipe = read_recipe(request.recipe)
    if recipe.paper is None:
        raise UsageError(f"recipe {request.recipe!r} reproduces no paper: it has no section [paper]")
    if recipe.paper.protocol not in PROTOCOLS:
        raise UsageError(
            f"recipe {request.recipe!r}: protocol is {recipe.paper.protocol!r}, wanted {', '.join(PROTOCOLS)}"
        )
    profile = recipe.paper.profiles.get(request.profile)
    if profile is None:
        raise UsageError(
            f"no profile {request.profile!r} in recipe {request.recipe!r}; there: {', '.join(recipe.paper.profiles)}"
        )
    if request.folds is not None:
        profile = msgspec.structs.replace(profile, folds=max(2, profile.folds, request.folds), runs=request.folds)
    networks = _wanted(profile.networks, request.networks, "network")
    profile = msgspec.structs.replace(profile, networks=networks)
    plain = msgspec.structs.replace(override(recipe, profile.settings), paper=None)
    return _Job(request, plain, recipe.paper, profile, watcher)


def _wanted(there: Mapping[str, _T], names: Sequence[str], what: str) -> dict[str, _T]:
    """Those of the names, all without names.

    Raises:
        UsageError: One of them is not there.
    """
    for name in names:
        if name not in there:
            raise UsageError(f"no {what} {name!r}; there: {', '.join(there)}")
    return {name: value for name, value in there.items() if not names or name in names}


def _studies(job: _Job) -> Iterator[StudySet]:
    configs = _wanted({config.name: config for config in job.paper.sets}, job.request.sets, "set")
    for config in configs.values():
        study = find_set(
            config,
            job.profile,
            data=job.request.data,
            out=job.request.out,
            seed=job.request.seed,
            say=job.watcher.say,
        )
        if study is not None:
            yield study


def _carry_out(job: _Job, study: StudySet, number: int, division: Division) -> None:
    """Train every network on a fold, or take the one that is there, and score each, then all together."""
    place = job.request.out / "runs" / study.config.name / f"fold{number}"
    parts = (division.validation, division.test)
    said: list[tuple[list[Predicted], ...]] = []
    for network, config in job.profile.networks.items():
        job.watcher.say(f"{study.title}, fold {number}, {network}: {len(division.train)} pictures to learn from")
        model = _trained(job, study, division, place, network=network, config=config)
        said.append(
            tuple([predict_record(model, record, study.description) for record in records] for records in parts)
        )
        _score(job, study, number, division, network=network, said=said[-1])
    if len(said) > 1:
        pooled = tuple([together(ones) for ones in zip(*part, strict=True)] for part in zip(*said, strict=True))
        _score(job, study, number, division, network=TOGETHER, said=pooled)


def _score(
    job: _Job, study: StudySet, number: int, division: Division, *, network: str, said: tuple[list[Predicted], ...]
) -> None:
    """Choose on what was said of the validation pictures, score what was said of the test pictures."""
    chosen_with, tested = said
    repair, roles = job.paper.repair, find_roles(study.config, study.description)
    choice = choose(chosen_with, roles, repair)
    job.scored.append(
        Scored(
            study=study.title,
            network=network,
            fold=number,
            learned=len(division.train),
            scored=len(tested),
            threshold=choice.threshold,
            repairs=score_repairs(tested, roles, repair, choice=choice),
            difficulty=score_difficulty(tested),
            connected=study.config.connected,
        )
    )
    if number == 1:
        repaired = Repaired(tested[0], roles, repair, choice.smallest_px)
        maps = {name: repaired.classes(name, threshold=choice.threshold) for name in REPAIRS}
        title = f"{study.title}, {network}: {tested[0].name}"
        job.pictures.append(pictures(title, tested[0], maps, study.description.colors))
    _write(job)


def _trained(
    job: _Job, study: StudySet, division: Division, place: Path, *, network: str, config: ModelConfig
) -> Model:
    """The network of a fold, trained now unless an earlier run finished it."""
    run = place / network
    if not _is_finished(run):
        begun = (run / STATE_FILE).exists()
        write_fold(place / "data", division, study.description)
        recipe = msgspec.structs.replace(job.recipe, name=f"{job.recipe.name}-{network}", model=config)
        write_text(place / f"{network}.toml", format_recipe(recipe))
        run_training(
            TrainRequest(
                data=place / "data",
                out=run,
                recipe=None if begun else str(place / f"{network}.toml"),
                seed=job.request.seed,
                resume=begun,
                device=job.request.device,
            ),
            Watcher(step=job.watcher.step),
        )
    return load_model(run / MODEL_FILE)


def _is_finished(run: Path) -> bool:
    if not (run / MODEL_FILE).is_file() or not (run / STATE_FILE).is_file():
        return False
    state = read_json(run / STATE_FILE)
    return isinstance(state, dict) and state.get("status") == "finished"


def _write(job: _Job) -> None:
    """Tables and report of what is known so far."""
    out, request = job.request.out, job.request
    write_json(out / SCORES, job.scored)
    write_csv(out / TABLES, columns(summarize(job.scored), job.profile.note))
    parameters = [
        ("recipe", request.recipe),
        ("profile", f"{request.profile}: {job.profile.note}"),
        ("seed", str(request.seed)),
        ("device", request.device),
        ("CellProof", __version__),
        ("written", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
    ]
    write_text(
        out / REPORT,
        page(job.recipe.name, job.paper, job.profile, scored=job.scored, shown=job.pictures, parameters=parameters),
    )
