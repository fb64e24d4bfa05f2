"""A study, carried out: every entry on every fold of every set, trained once, scored by its protocols."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ... import __version__, detectors
from ...checks import InputError, UsageError
from ...io import folder_lock, make_folder, read_json, write_csv, write_json, write_text
from ...recipe import StudyConfig, format_recipe, read_recipe
from ...report.study_page import StudyChart, StudyPictures, StudyTable
from ..evaluate import Column, load_protocol
from ..predict import MODEL_FILE
from ..train import STATE_FILE, TrainRequest, Watcher, choose_device, run_training
from .cells import FORMAT, SCORE_FILE, TRAINING_FILE, Cell, write_cell
from .charts import difference_charts, study_charts
from .costs import cost_table, keep_costs
from .entries import Planned, plan_entries, select
from .explained import explained_figures
from .fold import Fold, ReproduceRequest, Study, find_folds, folds_that_are_there, protocol_options, with_folds
from .page import StoredFigures, curves_of, evenly, figures_file, keep_figures, kept_figures, page
from .predictions import Predictions, Trained, combined, learned_steps
from .score import draw_figures, score_entry
from .sets import write_fold
from .steps import check_steps, steps_of
from .tables import Line, columns, summarize

TABLES, REPORT = "tables.csv", "report.html"

OLD_SCORES = "scores.json"
"""What earlier versions left; their models have no fingerprint."""


@dataclass(frozen=True)
class Results:
    """What a study has shown so far, also by earlier commands in its folder.

    Attributes:
        lines: Every row over folds.
        columns: What tables show of each set and protocol.
        cells: Scores of each set, entry and fold.
        missing: How many of the study's scores are not there yet.
    """

    lines: list[Line]
    columns: Mapping[tuple[str, str], Sequence[Column]]
    cells: list[Cell]
    missing: int


def reproduce(request: ReproduceRequest, watcher: Watcher) -> Results:
    """Train, score and write ``tables.csv``, ``report.html``, the scores of each cell and the trained models.

    Scores and models whose fingerprint is that of the request are not made again; tables and report show every score
    of the study that is there, whichever command made it.

    Raises:
        UsageError: No such recipe, profile, set, entry, protocol, step or option, or a recipe without ``[study]``.
        InputError: A set cannot be used, or nothing can be written.
    """
    choose_device(request.device)
    study = open_study(request, watcher)
    wanted_sets = select({config.name: config for config in study.config.sets}, request.sets, "set")
    wanted_entries = _buildable(study, select(study.plan.entries, request.entries, "entry"))
    with folder_lock(make_folder(request.out) / ".lock"):
        if (request.out / OLD_SCORES).is_file():
            watcher.say(
                f"{request.out} holds results of an earlier version, whose models do not say what they learned from: "
                f"they are left as they are, and trained anew"
            )
        # All sets are looked at before the first training, for what is wrong with the last would show after hours.
        for folds in [find_folds(study, config) for config in wanted_sets.values()]:
            for fold in folds:
                for planned in wanted_entries.values():
                    if fold.scores(planned) is None:
                        _carry_out(fold, planned)
                        write_study(study)
                shutil.rmtree(fold.folder / "predictions", ignore_errors=True)
                if fold.is_first:
                    _look_closer(fold)
        results = write_study(study)
    if not results.lines:
        raise InputError(f"{request.data}: holds none of the sets {', '.join(wanted_sets)}")
    return results


def open_study(request: ReproduceRequest, watcher: Watcher) -> Study:
    """A study with all that is asked of it, checked before anything is carried out.

    Args:
        request: What is asked.
        watcher: Told how it goes.

    Raises:
        UsageError: The recipe holds no study, or names that nothing in it bears.
        InputError: A recipe that cannot be read.
    """
    recipe = read_recipe(request.recipe)
    config = recipe.study
    if config is None:
        raise UsageError(f"recipe {request.recipe!r} reproduces no paper: it has no section [study]")
    profile = config.profiles.get(request.profile)
    if profile is None:
        raise UsageError(
            f"no profile {request.profile!r} in recipe {request.recipe!r}; there: {', '.join(config.profiles)}"
        )
    protocols = tuple(load_protocol(name) for name in config.protocols)
    if not protocols:
        raise UsageError(f"recipe {request.recipe!r}: protocols is empty; name at least one")
    _check_names(config)
    for own in config.sets:
        protocol_options(config, own, protocols)
    profile = with_folds(profile, config, request.folds)
    return Study(request, recipe, config, profile, plan_entries(recipe, config, profile), protocols, watcher)


def _buildable(study: Study, wanted: Mapping[str, Planned]) -> dict[str, Planned]:
    """Entries without those whose networks need a package that is not installed, of which the watcher is told."""
    kept = {}
    for name, planned in wanted.items():
        architectures = [study.plan.recipes[training].model.architecture for training in planned.trainings]
        lacking = [detectors.lacking(one) for one in architectures if one in detectors.names()]
        if any(lacking):
            study.watcher.say(f"{name}: {max(lacking)} is not installed (pip install 'cellproof[detect]'); left out")
        else:
            kept[name] = planned
    return kept


def _check_names(config: StudyConfig) -> None:
    """Refuse names that nothing in the study bears.

    Raises:
        UsageError: Naming those that there are.
    """
    sets, entries = ({one.name: one for one in some} for some in (config.sets, config.entries))
    if config.baseline:
        select(entries, (config.baseline,), "entry (baseline)")
    for profile in config.profiles.values():
        if isinstance(profile.only_folds, Mapping):
            select(sets, tuple(profile.only_folds), "set (only_folds)")
    for number in config.published:
        select(sets, (number.set,), "set (published)")
        select(entries, (number.entry,), "entry (published)")
    for protocol in config.options:
        select(dict.fromkeys(config.protocols), (protocol,), "protocol (options)")
    for entry in config.entries:
        check_steps(steps_of(entry.steps), entry=entry.name)


def _carry_out(fold: Fold, planned: Planned) -> None:
    """Train what an entry needs and is not there yet, predict, score, and write its scores."""
    study, split, entry = fold.study, fold.split, planned.entry
    study.watcher.say(f"{fold.found.title}, {split.name}, {entry.name}: {len(split.train)} images to learn from")
    # Views cost eight times as much, and neither class maps nor objects alone are scored by them.
    views = entry.tta or bool(entry.steps) or any(protocol.views for protocol in study.protocols)
    kept = fold.folder / "predictions" / ("views" if views else "plain")
    trained = [
        Trained(
            _trained(fold, name),
            kept / fold.training(name)[:12],
            study.plan.recipes[name].data.condition,
            entry.told,
            views=views,
        )
        for name in planned.trainings
    ]
    if len(trained) > 1 and fold.found.description.masks == "instances":
        # Objects have no mean: outputs are averaged before objects are made, by one model of all.
        trained = [combined(trained, fold.place(planned))]
    try:
        steps = learned_steps(
            trained, split.train, fold.found.description, steps_of(entry.steps), seed=study.request.seed
        )
    except InputError as error:
        # A network so poor that a step learns nothing from it must not stop the entries after it.
        study.watcher.say(f"{entry.name}: {error}; not scored")
        return
    validation = Predictions(trained, split.validation, fold.found.description, steps, entry.tta)
    test = Predictions(trained, split.test, fold.found.description, steps, entry.tta)
    scores, choices = score_entry(validation, test, study.protocols, fold.options, pool=fold.found.division.pool)
    fingerprint, place = fold.cell(planned), make_folder(fold.place(planned))
    if fold.is_first:
        for number, record in enumerate(evenly(split.test, study.config.examples)):
            figures = draw_figures(test.of(record), study.protocols, fold.options, choices)
            title = f"{fold.found.title}, {entry.name}: {record.name}"
            keep_figures(place / figures_file(number), StoredFigures(fingerprint, title, figures))
    # Last, for this file is what makes the cell complete.
    write_cell(
        place / SCORE_FILE,
        Cell(
            format=FORMAT,
            fingerprint=fingerprint,
            set=fold.found.title,
            fold=split.name,
            entry=entry.name,
            note=study.profile.note,
            learned=len(split.train),
            validated=len(split.validation),
            scored=len(split.test),
            scores=scores,
        ),
    )


def _look_closer(fold: Fold) -> None:
    """What the first fold of a set shows besides scores: what entries cost, and what their networks explain."""
    if fold.study.config.costs:
        keep_costs(fold)
    for name in fold.study.plan.recipes:
        if _is_finished(fold.run(name), fold.training(name)):
            explained_figures(fold, name, draw=True)


def _trained(fold: Fold, name: str) -> Path:
    """The model of an entry's training, trained now unless an earlier command finished it."""
    run, request = fold.run(name), fold.study.request
    if not _is_finished(run, fold.training(name)):
        begun = (run / STATE_FILE).exists()
        make_folder(run)
        write_fold(fold.folder / "data", fold.split, fold.found.description)
        recipe_file = run.parent / f"{run.name}.toml"
        write_text(recipe_file, format_recipe(fold.study.plan.recipes[name]))
        write_json(run.parent / f"{run.name}-{TRAINING_FILE}", {"format": FORMAT, "fingerprint": fold.training(name)})
        run_training(
            TrainRequest(
                data=fold.folder / "data",
                out=run,
                recipe=None if begun else str(recipe_file),
                seed=fold.seed(name),
                resume=begun,
                device=request.device,
            ),
            Watcher(step=fold.study.watcher.step),
        )
    return run / MODEL_FILE


def _is_finished(run: Path, fingerprint: str) -> bool:
    training = run.parent / f"{run.name}-{TRAINING_FILE}"
    if not all(path.is_file() for path in (run / MODEL_FILE, run / STATE_FILE, training)):
        return False
    stored, state = read_json(training), read_json(run / STATE_FILE)
    return (
        isinstance(stored, dict)
        and isinstance(state, dict)
        and stored.get("fingerprint") == fingerprint
        and state.get("status") == "finished"
    )


def write_study(study: Study) -> Results:
    """Tables and report of all scores that are there and are this study's."""
    cells: list[Cell] = []
    pictures: list[StudyPictures] = []
    explained: list[StudyPictures] = []
    charts: list[StudyChart] = []
    costs: list[StudyTable] = []
    curves: dict[str, str] = {}
    shown: dict[tuple[str, str], Sequence[Column]] = {}
    missing = 0
    for config in study.config.sets:
        folds = folds_that_are_there(study, config)
        charts += study_charts(folds)
        for fold in folds:
            if fold.is_first:
                table = cost_table(fold) if study.config.costs else None
                costs += [] if table is None else [table]
                seen = [explained_figures(fold, name, draw=False) for name in study.plan.recipes]
                explained += [figures for figures in seen if figures is not None]
            for protocol in study.protocols:
                shown[fold.found.title, protocol.name] = protocol.columns_for(fold.options[protocol.name])
            for planned in study.plan.entries.values():
                cell = fold.scores(planned)
                missing += cell is None
                if cell is None:
                    continue
                cells.append(cell)
                for number in range(study.config.examples):
                    figures = kept_figures(fold.place(planned) / figures_file(number), cell.fingerprint)
                    pictures += [] if figures is None else [figures]
                if fold.is_first and planned.entry.name in planned.trainings:
                    curves[f"{fold.found.title}, {planned.entry.name}"] = curves_of(fold.run(planned.entry.name))
    # All folds of an entry stand together, in the order of the study.
    sets, entries = list(dict.fromkeys(cell.set for cell in cells)), list(study.plan.entries)
    cells.sort(key=lambda cell: (sets.index(cell.set), entries.index(cell.entry)))
    lines = summarize(cells, published=study.config.published, baseline=study.config.baseline)
    charts = [*difference_charts(lines, shown, baseline=study.config.baseline), *charts]
    request = study.request
    write_csv(request.out / TABLES, columns(lines))
    parameters = [
        ("recipe", request.recipe),
        ("profile", f"{request.profile}: {study.profile.note}"),
        ("seed", str(request.seed)),
        ("device", request.device),
        ("CellProof", __version__),
        ("written", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
    ]
    html = page(
        study.recipe.name,
        study.config,
        note=study.profile.note,
        cells=cells,
        lines=lines,
        columns=shown,
        pictures=[*pictures, *explained],
        charts=charts,
        costs=costs,
        curves={title: svg for title, svg in curves.items() if svg},
        parameters=parameters,
    )
    write_text(request.out / REPORT, html)
    return Results(lines, shown, cells, missing)
