"""Wiring 1: data and a recipe become a model.

`train` looks at the data, plans or reads the recipe, trains a network for every fold, tunes what
validation can choose, and writes one model file. Whatever stops it, what is under ``RUN/`` is whole.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from . import __version__
from .batches import BatchMaker, SampleStore, attribute, augmentation, draw_weights, load_sample
from .checks import InputError
from .config import Recipe, format_recipe, override, read_recipe
from .data.description import Description, describe, read_description
from .data.folds import Fold, draw_folds, folds_from_json, folds_to_json, hold_out
from .data.index import Record, index
from .io import atomic_path, read_labels, read_model, write_csv, write_json, write_model, write_text
from .io.tables import read_json
from .losses.instance_loss import InstanceWeights, instance_loss
from .models import load as load_architecture
from .pipeline import find_model
from .planning import Survey, plan, survey
from .training.allocator import keep_freed_memory
from .training.checkpoint import restore, to_tensors
from .training.history import HistoryRow, columns
from .training.loop import Batch, LoopOptions, Progress, Trainer, run
from .types import Heads, InstanceOptions, IntensityStatistics, ModelHeader, Sample, TrainingRecord
from .validation import Tuned, Validator, tune

CHECKPOINT_EVERY_S = 120.0
"""A kill loses at most this much work."""

SURVEYED = 24
"""Samples that a plan is made from; enough for medians."""


@dataclass(frozen=True)
class TrainRequest:
    """What to train on, and how.

    Attributes:
        data: Folder of annotated images.
        out: Folder of the run.
        recipe: Name or file of a recipe; None plans one from the data.
        init: Model to start from; None leaves it to the recipe.
        seconds: Time for everything, None for as long as the steps take.
        folds: Number of trainings, None leaves it to the recipe.
        seed: Of every draw.
        settings: ``section.key=value`` changes to the recipe.
        resume: Continue the run in ``out``.
        device: "auto", "cpu", "cuda" or "mps".
    """

    data: Path
    out: Path
    recipe: str | None = None
    init: str | None = None
    seconds: float | None = None
    folds: int | None = None
    seed: int = 0
    settings: tuple[str, ...] = ()
    resume: bool = False
    device: str = "auto"


@dataclass(frozen=True)
class Watcher:
    """Where a training tells how it goes; every call returns soon.

    Attributes:
        say: A sentence for the user.
        step: Progress of one fold: (fold, folds, progress).
        page: The state to draw in the report.
    """

    say: Callable[[str], None] = lambda sentence: None
    step: Callable[[int, int, Progress], None] = lambda fold, folds, progress: None
    page: Callable[[RunState], str | None] = lambda state: None


@dataclass
class RunState:
    """What is known of a run so far; its report and its ``run.json`` are drawn from this."""

    request: TrainRequest
    recipe: Recipe
    description: Description
    reasons: list[str]
    folds: list[Fold]
    device: str
    history: dict[int, list[HistoryRow]] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    finished: bool = False
    started: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Collection:
    """A data set that is ready to be learned from.

    Attributes:
        records: All training and validation records.
        description: What the masks mean.
        store: Their samples, by position in `records`.
        notes: What was guessed or mended.
    """

    records: list[Record]
    description: Description
    store: SampleStore
    areas_px: list[int]


def train(request: TrainRequest, watcher: Watcher) -> Path:
    """Train a model as requested.

    Returns:
        The model file, ``RUN/model.safetensors``.

    Raises:
        InputError: The data, the recipe or the run folder cannot be used.
        KeyboardInterrupt: After the best model so far and the state to resume from were written.
    """
    started = time.monotonic()
    keep_freed_memory()
    device = choose_device(request.device)
    records, description = find_records(request.data, watcher.say)
    state = open_run(request, records, description, device, watcher)
    state.started = started
    collection = collect(records, description, state.recipe, watcher.say)
    members: list[dict[str, Tensor]] = []
    try:
        for number, fold in enumerate(state.folds):
            members.append(_train_fold(number, fold, collection, state, watcher))
    except KeyboardInterrupt:
        members += _interrupted_member(state, len(members))
        if members:
            _write_result(members, collection, state, Tuned(state.recipe.instance, 1.0, {}))
            watcher.say(f"stopped; {request.out / 'model.safetensors'} holds the best so far, --resume continues")
        raise
    watcher.say("choosing thresholds and temperature on the validation images")
    tuned = tune(
        members,
        [[collection.store[i] for i in _positions(records, fold.val)] for fold in state.folds],
        recipe=state.recipe,
        heads=_heads(state.recipe, description),
        module=build_module(state.recipe, description).to(device),
        groups=_validation_groups(records, state),
    )
    state.metrics = dict(tuned.metrics)
    state.finished = True
    path = _write_result(members, collection, state, tuned)
    _write_state(state, watcher)
    return path


def choose_device(name: str) -> str:
    """The device to train on: "cuda", "mps" or "cpu" for "auto".

    Raises:
        InputError: The device asked for is not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not there.get(name, False):
        raise InputError(f"--device {name} is not available here; there: {', '.join(d for d, ok in there.items() if ok)}")
    return name


def find_records(folder: Path, say: Callable[[str], None]) -> tuple[list[Record], Description]:
    """Pairs of image and mask, and what the masks mean.

    Raises:
        InputError: The folder holds no usable pairs, or fewer than two.
    """
    description = read_description(folder)
    if description is None:
        records = index(folder, Description(folder.name, "instances"))
        masks = [read_labels(record.mask) for record in records[:SURVEYED]]
        description, notes = describe(folder.name, masks)
        for note in notes:
            say(note)
    records = [r for r in index(folder, description) if r.split in ("", "train", "val")]
    if len(records) < 2:
        raise InputError(f"{folder}: {len(records)} annotated images; at least 2 are needed, one to learn from and one to check")
    return records, description


def open_run(
    request: TrainRequest, records: list[Record], description: Description, device: str, watcher: Watcher
) -> RunState:
    """A new run's plan written to its folder, or the one that is there to be resumed.

    Raises:
        InputError: The folder holds a run already, or none to resume, or cannot be written.
    """
    out = request.out
    if request.resume:
        return _reopen_run(request, description, device)
    if (out / "run.json").exists():
        raise InputError(f"{out} holds a training already; give --resume to continue it, or another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out} cannot be made ({error.strerror}); give another --out") from error
    recipe, reasons = make_recipe(request, records, description, device, watcher.say)
    folds = _draw_folds(records, recipe, request.seed)
    state = RunState(request, recipe, description, reasons, folds, device)
    for reason in reasons:
        watcher.say(f"plan: {reason}")
    write_text(out / "recipe.toml", format_recipe(recipe))
    write_text(out / "splits.json", folds_to_json(folds))
    _write_state(state, watcher)
    return state


def make_recipe(
    request: TrainRequest,
    records: list[Record],
    description: Description,
    device: str,
    say: Callable[[str], None],
) -> tuple[Recipe, list[str]]:
    """The recipe that was asked for, or one planned from the data; with ``--set`` applied."""
    if request.recipe is not None:
        recipe, reasons = read_recipe(request.recipe), [f"recipe {request.recipe}, as it stands"]
    else:
        facts = _survey(records, description)
        default = request.init if request.init is not None else _default_model(facts)
        recipe, reasons = plan(facts, description, seconds=request.seconds, device=device, default_model=default)
    if request.init is not None:
        recipe = msgspec.structs.replace(recipe, model=msgspec.structs.replace(recipe.model, init=request.init))
    if request.folds is not None:
        recipe = msgspec.structs.replace(recipe, folds=request.folds)
    if request.settings:
        recipe = override(recipe, request.settings)
        reasons.append(f"changed by hand: {', '.join(request.settings)}")
    return recipe, reasons


def collect(
    records: list[Record], description: Description, recipe: Recipe, say: Callable[[str], None]
) -> Collection:
    """Read every sample once, so that a broken file is known before hours of training.

    Raises:
        InputError: Naming the first file that cannot be used.
    """
    mended: dict[str, int] = {}

    def load(position: int) -> Sample:
        sample, notes = load_sample(records[position], description, recipe.data)
        for note in notes:
            mended[note] = mended.get(note, 0) + 1
        return sample

    store = SampleStore(load)
    areas = [store[position].class_map.size for position in range(len(records))]
    for note, times in mended.items():
        say(f"{note} ({times} masks)")
    return Collection(records, description, store, areas)


def build_module(recipe: Recipe, description: Description) -> nn.Module:
    """The recipe's network with random weights; seed torch before."""
    return load_architecture(
        recipe.model.architecture,
        in_channels=recipe.data.in_channels,
        out_channels=_heads(recipe, description).channels,
        **recipe.model.options,
    )


def start_from(module: nn.Module, model: str) -> tuple[int, int]:
    """Copy the weights of a model file whose names and shapes fit.

    Returns:
        Numbers of tensors copied and of tensors in the module.
    """
    _, tensors = read_model(find_model(model))
    own = module.state_dict()
    copied = 0
    for name, value in own.items():
        given = tensors.get(f"member0.{name}")
        if given is not None and tuple(given.shape) == tuple(value.shape):
            value.copy_(torch.from_numpy(np.asarray(given)).to(value.dtype))
            copied += 1
    return copied, len(own)


def _train_fold(
    number: int, fold: Fold, collection: Collection, state: RunState, watcher: Watcher
) -> dict[str, Tensor]:
    """Weights of one fold's network; those of an earlier run where they are complete."""
    recipe, request = state.recipe, state.request
    seed = request.seed + 1000 * number
    torch.manual_seed(seed)
    module = build_module(recipe, collection.description)
    if recipe.model.init:
        copied, there = start_from(module, recipe.model.init)
        watcher.say(f"start from {recipe.model.init!r}: {copied} of {there} tensors fit")
    trainer = Trainer(module.to(state.device), _loop_options(recipe, seed, _seconds_for(number, state)))
    checkpoint = _checkpoint(request.out, number)
    if checkpoint.exists():
        _restore(trainer, checkpoint)
    state.history[number] = trainer.history
    if trainer.share < 1.0 and not trainer.stopping.is_over:
        _run(number, trainer, fold, collection, state, watcher)
    assert trainer.best is not None
    return trainer.best


def _run(
    number: int, trainer: Trainer, fold: Fold, collection: Collection, state: RunState, watcher: Watcher
) -> None:
    """Run one fold's trainer to its end, leaving checkpoints; also when interrupted."""
    recipe = state.recipe
    heads = _heads(recipe, collection.description)
    validator = Validator(
        [collection.store[i] for i in _positions(collection.records, fold.val)],
        heads=heads,
        in_channels=recipe.data.in_channels,
        options=recipe.instance,
        most_pixels=recipe.training.validation_pixels,
    )
    saved = time.monotonic()
    path = _checkpoint(state.request.out, number)

    def on_step(progress: Progress) -> None:
        nonlocal saved
        watcher.step(number, len(state.folds), progress)
        if time.monotonic() - saved > CHECKPOINT_EVERY_S:
            _save(trainer, path)
            saved = time.monotonic()

    def on_validation(trainer: Trainer) -> None:
        _save(trainer, path)
        state.history[number] = trainer.history
        _write_state(state, watcher)

    try:
        run(
            trainer,
            batch_at=_batches(fold, collection, recipe, heads, trainer.options.seed),
            loss=_loss(recipe, collection, fold, heads),
            validate=validator,
            on_step=on_step,
            on_validation=on_validation,
        )
    except KeyboardInterrupt:
        _save(trainer, path)
        raise


def _batches(fold: Fold, collection: Collection, recipe: Recipe, heads: Heads, seed: int) -> BatchMaker:
    positions = _positions(collection.records, fold.train)
    config = recipe.training
    every_channels = {collection.store[i].image.shape[0] for i in positions}
    kinds = {
        exact: {
            channels: augmentation(recipe.augment, patch_px=config.patch_px, channels=channels, exact=exact)
            for channels in every_channels
        }
        for exact in (False, True)
    }
    return BatchMaker(
        store=SampleStore(lambda place: collection.store[positions[place]], most_bytes=0),
        weights=draw_weights(
            [collection.records[i] for i in positions], [collection.areas_px[i] for i in positions], recipe.data
        ),
        free=kinds[False],
        exact=kinds[True],
        exact_share=recipe.augment.exact,
        heads=heads,
        in_channels=recipe.data.in_channels,
        batch=config.batch,
        seed=seed,
    )


def _loss(recipe: Recipe, collection: Collection, fold: Fold, heads: Heads) -> Callable[[Tensor, Batch], Tensor]:
    config = recipe.loss
    weights = InstanceWeights(
        cross_entropy=config.cross_entropy,
        dice=config.dice,
        boundary=config.boundary,
        boundary_dice=config.boundary_dice,
        distance=config.distance,
        flow=config.flow,
    )
    class_weights: Tensor | None = None
    if config.balance_classes:
        shares = np.zeros(heads.classes)
        for position in _positions(collection.records, fold.train):
            shares += np.bincount(collection.store[position].class_map.ravel(), minlength=256)[: heads.classes]
        balanced = np.maximum(shares / shares.sum(), 1e-4) ** -config.balance_classes
        class_weights = torch.tensor(balanced / balanced.mean(), dtype=torch.float32)

    def loss(outputs: Tensor, batch: Batch) -> Tensor:
        device = outputs.device
        return instance_loss(
            outputs,
            batch.class_map.to(device),
            batch.fields.to(device),
            heads=heads,
            weights=weights,
            class_weights=None if class_weights is None else class_weights.to(device),
        )

    return loss


def _loop_options(recipe: Recipe, seed: int, seconds: float | None) -> LoopOptions:
    config = recipe.training
    return LoopOptions(
        steps=config.steps if seconds is None else 100 * config.steps,
        seconds=seconds,
        validate_every=config.validate_every,
        optimiser=config.optimiser,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        schedule=config.schedule,
        warmup=config.warmup,
        drop_every=config.drop_every,
        drop=config.drop,
        clip_norm=config.clip_norm,
        average_decay=config.average_decay,
        precision=config.precision,
        patience=config.patience,
        seed=seed,
    )


def _seconds_for(number: int, state: RunState) -> float | None:
    """Time of one fold: its share of what is left, less what tuning and writing take."""
    total = state.request.seconds
    if total is None:
        return None
    left = total - (time.monotonic() - state.started)
    reserve = 6.0 + 0.04 * total
    return max(5.0, (left - reserve) / (len(state.folds) - number))


def _draw_folds(records: list[Record], recipe: Recipe, seed: int) -> list[Fold]:
    """The data's own val split, or drawn folds."""
    own = Fold(
        train=tuple(r.name for r in records if r.split != "val"),
        val=tuple(r.name for r in records if r.split == "val"),
    )
    balance = recipe.data.balance or None
    if recipe.folds > 1:
        return list(draw_folds(records, folds=recipe.folds, seed=seed, stratify_by=balance))
    if own.val and own.train:
        return [own]
    return [hold_out(records, share=recipe.data.validation, seed=seed, stratify_by=balance)]


def _heads(recipe: Recipe, description: Description) -> Heads:
    extra = 1 if description.masks == "instances" else 0
    config = recipe.heads
    return Heads(
        classes=len(description.classes) + extra,
        boundary=config.boundary,
        distance=config.distance,
        flows=config.flows,
    )


def _survey(records: Sequence[Record], description: Description) -> Survey:
    from .config import DataConfig

    chosen = [records[i] for i in np.linspace(0, len(records) - 1, min(SURVEYED, len(records))).astype(int)]
    samples = [load_sample(record, description, DataConfig())[0] for record in chosen]
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


def _positions(records: Sequence[Record], names: Sequence[str]) -> list[int]:
    place = {record.name: position for position, record in enumerate(records)}
    return [place[name] for name in names]


def _validation_groups(records: list[Record], state: RunState) -> list[list[str]]:
    """Value of the balancing attribute of each validation image, fold by fold; "" without one."""
    by_name = {record.name: record for record in records}
    name = state.recipe.data.balance
    return [[attribute(by_name[n], name) if name else "" for n in fold.val] for fold in state.folds]


def _write_result(members: list[dict[str, Tensor]], collection: Collection, state: RunState, tuned: Tuned) -> Path:
    """Write ``model.safetensors`` with the members so far."""
    path = state.request.out / "model.safetensors"
    tensors = {
        f"member{number}.{name}": value.cpu().contiguous().numpy()
        for number, member in enumerate(members)
        for name, value in member.items()
    }
    write_model(path, _header(len(members), collection, state, tuned), tensors)
    return path


def _header(members: int, collection: Collection, state: RunState, tuned: Tuned) -> ModelHeader:
    recipe, description = state.recipe, collection.description
    module = build_module(recipe, description)
    background = ("background",) if description.masks == "instances" else ()
    return ModelHeader(
        name=recipe.name,
        description=recipe.description,
        architecture=recipe.model.architecture,
        options=dict(recipe.model.options),
        heads=_heads(recipe, description),
        classes=(*background, *description.classes),
        colours=description.colours if not background else (),
        in_channels=recipe.data.in_channels,
        normalisation=recipe.data.normalisation,
        scale=recipe.data.scale,
        fit_side_px=recipe.data.fit_side_px,
        fit_objects=recipe.data.fit_objects,
        pixel_size_um=description.pixel_size_um,
        stride_px=int(module.stride),  # type: ignore[arg-type]
        receptive_field_px=int(module.receptive_field_px),  # type: ignore[arg-type]
        members=members,
        temperature=tuned.temperature,
        instance=tuned.options,
        training=TrainingRecord(
            data=description.name,
            licence=description.licence,
            images=len({name for fold in state.folds for name in fold.train}),
            recipe=format_recipe(recipe),
            seed=state.request.seed,
            steps=sum(rows[-1].step for rows in state.history.values() if rows),
            seconds=round(sum(rows[-1].seconds for rows in state.history.values() if rows), 1),
            cellproof=__version__,
        ),
        statistics=_statistics(collection, state),
        metrics=dict(tuned.metrics),
    )


def _statistics(collection: Collection, state: RunState) -> IntensityStatistics:
    """Of the training images, at the working scale."""
    names = sorted({name for fold in state.folds for name in fold.train})
    means, diameters = [], []
    for position in _positions(collection.records, names):
        sample = collection.store[position]
        mean = sample.image.mean(axis=(1, 2))
        means.append(np.resize(mean, state.recipe.data.in_channels))
        if sample.instances is not None:
            areas = np.bincount(sample.instances.ravel())[1:]
            diameters.append(np.sqrt(4 * areas[areas > 0] / np.pi))
    together = np.concatenate(diameters) if diameters else np.zeros(0)
    return IntensityStatistics(
        mean=tuple(round(float(m), 5) for m in np.mean(means, axis=0)),
        sd=tuple(round(float(s), 5) for s in np.std(means, axis=0)),
        object_diameter_px=tuple(round(float(d), 2) for d in np.percentile(together, (5, 50, 95)))
        if together.size
        else (),
    )


def _write_state(state: RunState, watcher: Watcher) -> None:
    """Write ``history.csv``, ``run.json`` and ``report.html``."""
    out = state.request.out
    rows = [(fold + 1, row) for fold, history in sorted(state.history.items()) for row in history]
    table: dict[str, list[float]] = {"fold": [float(fold) for fold, _ in rows]}
    table |= columns([row for _, row in rows])
    write_csv(out / "history.csv", table)
    write_json(
        out / "run.json",
        {
            "cellproof": __version__,
            "torch": str(torch.__version__),
            "data": str(state.request.data),
            "seed": state.request.seed,
            "seconds": state.request.seconds,
            "device": state.device,
            "threads": torch.get_num_threads(),
            "plan": state.reasons,
            "finished": state.finished,
            "metrics": state.metrics,
            "folds": len(state.folds),
        },
    )
    page = watcher.page(state)
    if page is not None:
        write_text(out / "report.html", page)


def _reopen_run(request: TrainRequest, description: Description, device: str) -> RunState:
    out = request.out
    if not (out / "run.json").exists():
        raise InputError(f"{out} holds no training to resume; leave --resume out to start one")
    if request.recipe or request.settings or request.folds or request.init:
        raise InputError("--resume continues with the recipe it was started with; leave --recipe, --set, --folds and --init out")
    stored = read_json(out / "run.json")
    seconds = request.seconds if request.seconds is not None else stored["seconds"]
    return RunState(
        request=replace(request, seed=int(stored["seed"]), seconds=seconds),
        recipe=read_recipe(os.fspath(out / "recipe.toml")),
        description=description,
        reasons=list(stored["plan"]),
        folds=list(folds_from_json((out / "splits.json").read_text(encoding="utf-8"))),
        device=device,
    )


def _checkpoint(out: Path, fold: int) -> Path:
    return out / f"checkpoint-{fold + 1}.safetensors"


def _save(trainer: Trainer, path: Path) -> None:
    tensors, counters = to_tensors(trainer)
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"counters": counters})


def _restore(trainer: Trainer, path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            counters = (file.metadata() or {})["counters"]
        restore(trainer, load_file(path), counters)
    except (SafetensorError, KeyError, OSError) as error:
        raise InputError(f"{path} is no training state ({error}); remove it to train this fold anew") from error


def _interrupted_member(state: RunState, number: int) -> list[dict[str, Tensor]]:
    """Best weights so far of the fold that was interrupted, from its checkpoint; none before the first step."""
    path = _checkpoint(state.request.out, number)
    if not path.exists():
        return []
    tensors = load_file(path)
    for prefix in ("best.", "average."):
        member = {n.removeprefix(prefix): value for n, value in tensors.items() if n.startswith(prefix)}
        if member:
            return [member]
    return []
