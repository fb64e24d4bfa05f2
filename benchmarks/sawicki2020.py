"""Glands of GlaS: networks trained on its train split, decoded as held-out patients say, scored once on test A.

``python benchmarks/sawicki2020.py --data DATA/glas --work WORK --train half`` trains a row (``--minutes 50``), and the
command without ``--train`` scores every row that WORK holds, alone, in eight views and together, and writes the page.
The best row is two commands, each within 60 minutes on 2 cores: one training, one scoring.

Held-out patients (a fifth of train, whole patients, drawn by the seed) choose the weights that are kept, the foreground
threshold, how far a summit must rise to found a gland, and the size of specks. Of test A nothing is looked at before.
Weights trained on GlaS are for research only and lie in WORK alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from page import load_note, table, write_page

from cellproof.data.description import read_description
from cellproof.data.index import Record, index
from cellproof.data.square import Square
from cellproof.inference.activate import Maps
from cellproof.instances.clean import clean_labels
from cellproof.instances.components import label_components
from cellproof.instances.decode import decode
from cellproof.io import make_folder, model_hash, read_image, read_json, read_labels, write_json, write_text
from cellproof.metrics.glas import GlandCounts, count_glands, f1, gland_rows, object_dice, object_hausdorff
from cellproof.metrics.rows import Row
from cellproof.metrics.sawicki import MaskCounts, count_masks, mask_rows
from cellproof.recipe import Recipe, format_recipe, override, parse_recipe, read_recipe
from cellproof.types import InstanceOptions
from cellproof.workflows.predict import Model, Predictor, load_model
from cellproof.workflows.reproduce.entries import plan_entries
from cellproof.workflows.train import TrainRequest, Watcher, run_training

THIRD = (
    "data.scale=0.35",
    "training.patch_px=224",
    "training.average_decay=0.99",
    "training.weight_decay=0.02",
    "augment.scale=[0.75, 1.6]",
    "augment.color=0.15",
    'augment.steps=[{ name = "stain", options = { p = 0.5, strength = 0.25 } }]',
    'loss.terms=[{ name = "border_weight", options = { strength = 3.0, sigma_px = 3.0 } }, { name = "dice" }]',
)

TRAININGS: Mapping[str, tuple[str, ...]] = {
    "half": ("model.init=imagenet",),
    "third": (*THIRD, "model.init=imagenet"),
    "random": THIRD,
    "unet": (),
}
"""Changes of the recipe; "unet" is the entry of that name of the study, in its laptop size."""

TITLES = {
    "half": "instance-aware, half size",
    "third": "instance-aware, a third, gaps weighted",
    "random": "instance-aware, a third, gaps weighted, from random weights",
    "unet": "the paper's U-Net, 16 to 256 channels",
}

TOGETHER = ("half", "third")

SEEDS, AREAS_PX, THRESHOLDS = (0.1, 0.2, 0.3, 0.45, 0.6), (200, 600, 1000, 1500), (0.4, 0.5, 0.6)

PUBLISHED = """| published, test A | F1 | object Dice | object Hausdorff |
|---|---:|---:|---:|
| CUMedVision2 (DCAN), winner of the challenge | 0.912 | 0.897 | 45.4 |
| ExB1 | 0.891 | 0.882 | 57.4 |
| Freiburg2 (U-Net) | 0.870 | 0.876 | 57.1 |
| MILD-Net (2019) | 0.914 | 0.913 | 41.5 |

| published, test A, variant `sawicki` | F1 of pixels | object F1 | Hausdorff |
|---|---:|---:|---:|
| Sawicki 2020, U-Net | 0.88 | 0.77 | 42.7 |
| Sawicki 2020, Mask R-CNN | 0.83 | 0.81 | 37.1 |"""


CAUTION = """**Read with it.** GlaS divides images and not patients: those of test A are in train, too, and test A
is easier than new patients are. Held-out patients score lower by far, and say what to expect elsewhere. The published
numbers have that advantage as well. The size of specks was chosen on 17 held-out images, where the largest on offer
won; 31 of the 666 glands of test A are smaller. Minutes are of a machine that was shared."""


@dataclass(frozen=True)
class Scored:
    """A row of the page.

    Attributes:
        title: What predicts.
        trained: Start, width, steps and minutes of each of its trainings.
        choice: How objects are made, chosen on held-out patients.
        held_out: F1, object Dice and object Hausdorff there.
        glas: Rows of test A by the challenge's protocol.
        sawicki: The same by the paper's.
    """

    title: str
    trained: str
    choice: str
    held_out: tuple[float, float, float]
    glas: list[Row]
    sawicki: list[Row]


def main() -> None:
    """Train a row, or score all that are there and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the set glas")
    parser.add_argument("--work", type=Path, required=True, help="where runs lie, each in a folder of its name")
    parser.add_argument("--train", choices=tuple(TRAININGS), help="train this row instead of scoring")
    parser.add_argument("--minutes", type=float, default=50.0, help="of the training (default: 50)")
    arguments = parser.parse_args()
    if arguments.train:
        train(arguments.train, arguments.data, arguments.work, seconds=60 * arguments.minutes)
        return
    there = [name for name in TRAININGS if (arguments.work / name / "model.safetensors").is_file()]
    wanted = [([name], tta) for name in there for tta in (False, True)]
    if set(TOGETHER) <= set(there):
        wanted.append((list(TOGETHER), True))
    rows = [kept(names, arguments.data, arguments.work, tta=tta) for names, tta in wanted]
    write_page("sawicki2020", "Glands: U-Net beside an instance-aware network", body(rows, arguments.work), seed=0)


def recipe_of(name: str) -> Recipe:
    """The recipe of a row; all hold out the same patients."""
    recipe = read_recipe("sawicki2020")
    if name == "unet":
        assert recipe.study is not None
        study = recipe.study
        recipe = plan_entries(recipe, study, study.profiles["laptop"]).recipes["U-Net"]
        return override(recipe, ["data.validation=0.2", "data.balance=grade", "data.balance_power=1"])
    return override(msgspec.structs.replace(recipe, study=None), TRAININGS[name])


def train(name: str, data: Path, work: Path, *, seconds: float) -> None:
    """Train a row, or go on where it was stopped."""
    work.mkdir(parents=True, exist_ok=True)
    file = work / f"{name}.toml"
    write_text(file, format_recipe(recipe_of(name)))
    begun = (work / name / "run.json").exists()
    request = TrainRequest(
        data=data,
        out=work / name,
        recipe=None if begun else str(file),
        seconds=None if begun else seconds,
        seed=0,
        resume=begun,
    )
    run_training(request, Watcher(say=lambda line: print(line, flush=True)))


def kept(names: Sequence[str], data: Path, work: Path, *, tta: bool) -> Scored:
    """A row, scored now unless it was before with the same models."""
    digest = "-".join(model_hash(work / name / "model.safetensors")[:12] for name in names)
    path = work / "scores" / f"{digest}{'-views' if tta else ''}.json"
    if not path.is_file():
        row = scored(names, data, work, tta=tta)
        make_folder(path.parent)
        write_json(path, row)
        print(row.title, row.held_out, row.choice, flush=True)
    return msgspec.convert(read_json(path), Scored)


def scored(names: Sequence[str], data: Path, work: Path, *, tta: bool) -> Scored:
    """Choose on held-out patients, then score test A."""
    models = [load_model(work / name) for name in names]
    description = read_description(data)
    assert description is not None
    records = index(data, description)
    held_out = set(read_json(work / names[0] / "splits.json")[0]["val"])
    chosen = [one for one in records if one.split == "train" and one.name in held_out]
    caches = [work / "maps" / name for name in names]
    options, at_best = choose(chosen, models, caches, tta=tta)
    glands: list[GlandCounts] = []
    masks: list[MaskCounts] = []
    for record, maps in predicted([one for one in records if one.split == "testA"], models, caches, tta=tta):
        labels, reference = objects(maps, options), read_labels(record.mask)
        glands.append(count_glands(labels, reference))
        square = Square((reference.shape[0], reference.shape[1]))
        masks.append(count_masks(square.labels(labels > 0), square.labels(reference > 0)))
    title = " + ".join(TITLES[name] for name in names) + (", TTA" if tta else "")
    trained = "; ".join(how_trained(work / name, model) for name, model in zip(names, models, strict=True))
    said = f"{options.method}, foreground {options.foreground_threshold:g}, specks below {options.smallest_area_px} px"
    said += f", summits {options.seed_threshold:g}" if options.method == "watershed" else ""
    return Scored(title, trained, said, at_best, gland_rows(glands), mask_rows(masks))


def choose(
    records: Sequence[Record], models: Sequence[Model], caches: Sequence[Path], *, tta: bool
) -> tuple[InstanceOptions, tuple[float, float, float]]:
    """Options of the largest F1 + object Dice on held-out patients, one at a time, and the three numbers there."""
    seen = [(maps, read_labels(record.mask)) for record, maps in predicted(records, models, caches, tta=tta)]
    method = "watershed" if models[0].header.heads.has_instances else "components"
    start = models[0].header.instance
    options = msgspec.structs.replace(start, method=method, smallest_area_px=AREAS_PX[0], foreground_threshold=0.5)

    def numbers(candidate: InstanceOptions) -> tuple[float, float, float]:
        counts = [count_glands(objects(maps, candidate), reference) for maps, reference in seen]
        total = sum(counts[1:], start=counts[0])
        return f1(total), object_dice(total), object_hausdorff(total)

    best: tuple[float, float, float] | None = None
    choices = (("seed_threshold", SEEDS), ("smallest_area_px", AREAS_PX), ("foreground_threshold", THRESHOLDS))
    for name, values in choices[1 if method == "components" else 0 :]:
        for value in values:
            candidate = msgspec.structs.replace(options, **{name: value})
            found = best if best is not None and candidate == options else numbers(candidate)
            if best is None or found[0] + found[1] > best[0] + best[1]:
                best, options = found, candidate
    assert best is not None
    return options, best


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
        fields = {name: np.mean([maps.fields[name] for maps in every], axis=0) for name in every[0].fields}
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
    maps = predictor.predict(predictor.prepare(pixels), scale=predictor.first_scale(pixels.shape[1:]), tta=tta)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: field.astype(np.float16) for name, field in maps.fields.items()}
    np.savez_compressed(path, probabilities=maps.probabilities.astype(np.float16), **arrays)
    return one(record, model, cache, tta=tta)


def how_trained(run: Path, model: Model) -> str:
    """Start, width, steps and minutes, as the run's own files say."""
    record = model.header.training
    recipe = parse_recipe((run / "recipe.toml").read_text(encoding="utf-8"))
    start = "ImageNet" if recipe.model.init else "random"
    width = recipe.model.options.get("width", "?")
    size = f"scale {recipe.data.scale:.2g}, {recipe.training.batch} × {recipe.training.patch_px}²"
    return f"{start}, width {width}, {size}, {record.steps} steps, {record.seconds / 60:.0f} min"


def body(rows: Sequence[Scored], work: Path) -> str:
    """The page under its heading."""
    headings = ("test A, protocol `glas`", "F1", "object Dice", "object Hausdorff (px)", "false", "missed")
    glas = [(row.title, *_numbers(row.glas, ("F1 (GlaS)", "object Dice", "object Hausdorff"))) for row in rows]
    counts = [(_value(row.glas, "false glands"), _value(row.glas, "missed glands")) for row in rows]
    paper = ("F1 (Sawicki)", "object F1 (Sawicki)", "Hausdorff (Sawicki)")
    variant = [(row.title, *_numbers(row.sawicki, paper, "mean over images")) for row in rows]
    told = [(row.title, row.trained, row.choice, "{:.3f} / {:.3f} / {:.1f}".format(*row.held_out)) for row in rows]
    return "\n\n".join(
        [
            (__doc__ or "").strip().split("\n\n", 2)[2],
            load_note(),
            table(headings, [(*row, *map(int, more)) for row, more in zip(glas, counts, strict=True)]),
            "Pooled over the 60 images, as the challenge does; in brackets 95 % intervals of 1,000 draws of images.",
            table(("test A, variant `sawicki`, 512 px", "F1 of pixels", "object F1", "Hausdorff (px)"), variant),
            "Means over images, each padded to a square and resized to 512 pixels.",
            PUBLISHED,
            table(("row", "training", "decoding", "held-out F1 / Dice / Hausdorff"), told),
            CAUTION,
            missing(work),
        ]
    )


def missing(work: Path) -> str:
    """What is not in the tables, and how it gets there."""
    names = [name for name in TRAININGS if not (work / name / "model.safetensors").is_file()]
    if not names:
        return ""
    listed = "; ".join(f"{TITLES[name]} (`--train {name}`)" for name in names)
    return f"**Not trained here**, so nothing is said of it: {listed}. Mask R-CNN has commands of its own."


def _numbers(rows: Sequence[Row], metrics: Sequence[str], averaging: str = "pooled") -> list[str]:
    found = []
    for metric in metrics:
        row = next(row for row in rows if (row.metric, row.averaging) == (metric, averaging))
        digits = 1 if row.value > 2 else 3
        text = f"{row.value:.{digits}f}"
        if row.interval is not None:
            text += f" ({row.interval[0]:.{digits}f}–{row.interval[1]:.{digits}f})"
        found.append(text)
    return found


def _value(rows: Sequence[Row], metric: str) -> float:
    return float(next(row.value for row in rows if row.metric == metric))


if __name__ == "__main__":
    main()
