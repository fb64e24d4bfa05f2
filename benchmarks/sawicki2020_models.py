"""Trainings on glands, and how their maps become glands as held-out patients say; `sawicki2020.py` writes the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from cellproof.data.description import read_description
from cellproof.data.index import Record, index
from cellproof.inference.activate import Maps
from cellproof.inference.tta import EIGHT_VIEWS, ONE_VIEW
from cellproof.instances.clean import clean_labels
from cellproof.instances.components import label_components
from cellproof.instances.decode import decode
from cellproof.io import read_image, read_json, read_labels, read_model, write_model, write_text
from cellproof.metrics.glas import count_glands, f1, object_dice, object_hausdorff
from cellproof.recipe import Recipe, format_recipe, override, read_recipe
from cellproof.types import InstanceOptions
from cellproof.workflows.predict import Model, Predictor, load_model
from cellproof.workflows.predict.combine import combine
from cellproof.workflows.reproduce.entries import plan_entries
from cellproof.workflows.train import TrainRequest, Watcher, run_training

SHORT = ("training.steps=1504",)

GAPS = ('loss.terms=[{ name = "border_weight", options = { strength = 4.0, sigma_px = 4.0 } }, { name = "dice" }]',)

TRAININGS: Mapping[str, tuple[str, ...]] = {
    "half": ("model.init=imagenet",),
    "other": ("model.init=imagenet",),
    "weighted": (*GAPS, "model.init=imagenet"),
    "short": (*SHORT, "model.init=imagenet"),
    "random": SHORT,
    "gaps": (*SHORT, *GAPS, "model.init=imagenet"),
    "unet": (),
    "unet_longer": (),
    "unet_averaged": ("training.average_decay=0.99", "training.schedule=cosine"),
    "mask_rcnn": (),
}
"""Changes of the recipe; the last four are entries of the study, in their laptop size."""

SEEDS_OF: Mapping[str, int] = {"other": 1}
"""Seeds of trainings; the seed draws the patients that are held out, 0 for all that stand beside one another."""

ENTRIES = {"unet": "U-Net", "unet_longer": "U-Net", "unet_averaged": "U-Net", "mask_rcnn": "Mask R-CNN"}

GO_ON = {"unet_longer": "unet"}
"""Trainings that go on from the weights that another one kept."""

MINUTES: Mapping[str, float | None] = {
    "half": 50.0,
    "other": 50.0,
    "weighted": 50.0,
    "short": None,
    "random": None,
    "gaps": None,
    "unet": 25.0,
    "unet_longer": 22.0,
    "unet_averaged": 25.0,
    "mask_rcnn": 12.0,
}
"""Of each training, where ``--minutes`` does not say, and None where its steps do. Those of `BEST` leave time for the
choice within an hour."""

BEST = ("weighted", "other")
"""Trainings of the model to use, side by side; several are combined, the first of which tells glands apart."""

SUMMITS, THRESHOLDS = (0.3, 0.45, 0.6), (0.4, 0.5, 0.6)

SPECK_QUANTILES = (0.005, 0.01, 0.02)
"""Glands of train that are smaller than a speck may be, as a fraction of all."""


def recipe_of(name: str) -> Recipe:
    """The recipe of a row; all of one seed hold out the same patients."""
    recipe = read_recipe("sawicki2020")
    if name in ENTRIES:
        assert recipe.study is not None
        study = recipe.study
        recipe = plan_entries(recipe, study, study.profiles["laptop"]).recipes[ENTRIES[name]]
        shared = ("data.validation=0.2", "data.balance=grade", "data.balance_power=1")
        return override(recipe, [*shared, *TRAININGS[name]])
    return override(msgspec.structs.replace(recipe, study=None), TRAININGS[name])


def train(name: str, data: Path, work: Path, *, minutes: float | None) -> None:
    """Train a row, or go on where it was stopped."""
    work.mkdir(parents=True, exist_ok=True)
    file = work / f"{name}.toml"
    recipe = recipe_of(name)
    if name in GO_ON:
        recipe = override(recipe, [f"model.init={work / GO_ON[name] / 'model.safetensors'}"])
    write_text(file, format_recipe(recipe))
    begun = (work / name / "run.json").exists()
    request = TrainRequest(
        data=data,
        out=work / name,
        recipe=None if begun else str(file),
        seconds=None if begun or minutes is None else 60 * minutes,
        seed=SEEDS_OF.get(name, 0),
        resume=begun,
    )
    run_training(request, Watcher(say=lambda line: print(line, flush=True)))


def chosen(
    names: Sequence[str], models: Sequence[Model], data: Path, work: Path, *, tta: bool
) -> tuple[list[Record], InstanceOptions, tuple[float, float, float]]:
    """All images, the decoding that patients held out from every training choose, and the three numbers there."""
    description = read_description(data)
    assert description is not None
    records = list(index(data, description))
    train_split = [one for one in records if one.split == "train"]
    areas = np.concatenate([np.bincount(read_labels(one.mask).ravel())[1:] for one in train_split])
    specks = [round(float(size)) for size in np.quantile(areas[areas > 0], SPECK_QUANTILES)]
    seen = [
        (maps, read_labels(record.mask))
        for members in _alike(names, work).values()
        for record, maps in predicted(
            [one for one in train_split if one.name in _held_out(members[0], work)],
            [models[names.index(name)] for name in members],
            [work / "maps" / name for name in members],
            tta=tta,
        )
    ]
    return records, *choose(seen, start_of(models), specks)


def _held_out(name: str, work: Path) -> frozenset[str]:
    return frozenset(read_json(work / name / "splits.json")[0]["val"])


def _alike(names: Sequence[str], work: Path) -> dict[frozenset[str], list[str]]:
    """Trainings by the images that they held out: those with the same ones predict them together, others apart."""
    groups: dict[frozenset[str], list[str]] = {}
    for name in names:
        groups.setdefault(_held_out(name, work), []).append(name)
    return groups


def start_of(models: Sequence[Model]) -> InstanceOptions:
    """How objects are made before anything is chosen: what the models' own validation says, by a fitting method."""
    dense = [model for model in models if not model.header.heads.is_detector]
    start = (dense or models)[0].header.instance
    if not dense:
        return msgspec.structs.replace(start, method="detections")
    if len(dense) < len(models):
        score = next(model for model in models if model not in dense).header.instance.foreground_threshold
        return msgspec.structs.replace(start, method="shaped", options={"score": score}, foreground_threshold=0.5)
    method = "watershed" if dense[0].header.heads.has_instances else "components"
    return msgspec.structs.replace(start, method=method, foreground_threshold=0.5)


def choose(
    seen: Sequence[tuple[Maps, np.ndarray]], options: InstanceOptions, specks: Sequence[int]
) -> tuple[InstanceOptions, tuple[float, float, float]]:
    """Options of the largest F1 + object Dice on maps with references, one at a time, and the three numbers there."""
    options = msgspec.structs.replace(options, smallest_area_px=specks[0])

    def numbers(candidate: InstanceOptions) -> tuple[float, float, float]:
        counts = [count_glands(objects(maps, candidate), reference) for maps, reference in seen]
        total = sum(counts[1:], start=counts[0])
        return f1(total), object_dice(total), object_hausdorff(total)

    best: tuple[float, float, float] | None = None
    choices = (("seed_threshold", SUMMITS), ("smallest_area_px", specks), ("foreground_threshold", THRESHOLDS))
    for name, values in choices[0 if options.method == "watershed" else 1 :]:
        for value in values:
            candidate = msgspec.structs.replace(options, **{name: value})
            found = best if best is not None and candidate == options else numbers(candidate)
            if best is None or found[0] + found[1] > best[0] + best[1]:
                best, options = found, candidate
    assert best is not None
    return options, best


def write_best(data: Path, work: Path) -> Path:
    """The model file of `BEST`, with the decoding that was chosen for it in eight views."""
    paths = [work / name / "model.safetensors" for name in BEST]
    _, options, _ = chosen(BEST, [load_model(path) for path in paths], data, work, tta=True)
    best = work / "best.safetensors"
    if len(paths) > 1:
        combine(paths, best, name="glands")
    header, tensors = read_model(best if len(paths) > 1 else paths[0])
    description = f"{header.description}; its decoding was chosen for eight views: segment with --tta"
    write_model(best, msgspec.structs.replace(header, instance=options, description=description), tensors)
    return best


def objects(maps: Maps, options: InstanceOptions) -> np.ndarray:
    """(H, W) glands."""
    if options.method != "components":
        return decode(maps.probabilities, maps.fields, options=options)
    foreground = 1 - maps.probabilities[0] >= options.foreground_threshold
    return clean_labels(label_components(foreground.astype(np.uint8)), smallest_area_px=options.smallest_area_px)


def predicted(
    records: Sequence[Record], models: Sequence[Model], caches: Sequence[Path], *, tta: bool
) -> Iterator[tuple[Record, Maps]]:
    """Mean maps of the models for each image, kept on disk."""
    for record in records:
        every = [one(record, model, cache, tta=tta) for model, cache in zip(models, caches, strict=True)]
        names = {name for maps in every for name in maps.fields}
        fields = {name: np.mean([maps.fields[name] for maps in every if name in maps.fields], axis=0) for name in names}
        yield record, Maps(np.mean([maps.probabilities for maps in every], axis=0), fields)


def one(record: Record, model: Model, cache: Path, *, tta: bool) -> Maps:
    """Maps of one model for one image."""
    path = cache / f"{record.name}{'-views' if tta else ''}.npz"
    if path.is_file():
        with np.load(path) as arrays:
            kept = {name: arrays[name].astype(np.float32) for name in arrays.files}
        return Maps(kept.pop("probabilities"), kept)
    pixels = read_image(record.image).pixels[0]
    predictor = Predictor.of_model(model)
    scale, views = predictor.first_scale(pixels.shape[1:]), EIGHT_VIEWS if tta else ONE_VIEW
    maps = predictor.predict(predictor.prepare(pixels), scale=scale, views=views)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: field.astype(np.float16) for name, field in maps.fields.items()}
    np.savez_compressed(path, probabilities=maps.probabilities.astype(np.float16), **arrays)
    return one(record, model, cache, tta=tta)
