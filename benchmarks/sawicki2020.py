"""Glands of GlaS: networks trained on its train split, decoded as held-out patients say, scored once on test A.

``python benchmarks/sawicki2020.py --data DATA/glas --work WORK --train best`` makes the model of the best row in one
go, WORK/best.safetensors; ``--train NAME`` trains one row, ``--combine`` makes the model of rows that are trained.
Without these all rows that WORK holds are scored, and the page is written. What was stopped goes on when asked again.

Held-out patients (a fifth of train, whole patients, drawn by the seed) choose the weights that are kept, the foreground
threshold, how far a summit must rise to found a gland, and the size of specks among sizes that at most one in fifty
glands of train falls below. Where trainings held out different patients, each is asked about those that it has not
seen. Of test A nothing is looked at before. Weights trained on GlaS are for research only: they lie in WORK.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from page import FOLDER, load_note, table, write_page
from sawicki2020_models import BEST, MINUTES, TRAININGS, chosen, objects, predicted, train, write_best

from cellproof.data.square import Square
from cellproof.io import make_folder, model_hash, read_csv, read_image, read_json, read_labels, write_json
from cellproof.metrics.glas import GlandCounts, count_glands, gland_rows
from cellproof.metrics.rows import Row
from cellproof.metrics.sawicki import MaskCounts, count_masks, mask_rows
from cellproof.recipe import parse_recipe
from cellproof.report.curves import compared_curves
from cellproof.report.overlay import overlay, write_overlay
from cellproof.workflows.predict import Model, load_model
from cellproof.workflows.reproduce.page import evenly

TITLES = {
    "half": "instance-aware, half size",
    "other": "half size with other patients held out",
    "weighted": "instance-aware, half size, gaps weighted",
    "short": "instance-aware, stopped at 1,504 steps",
    "random": "instance-aware, from random weights",
    "gaps": "instance-aware, gaps weighted",
    "unet": "the paper's U-Net, 16 to 256 channels",
    "unet_longer": "the paper's U-Net, trained on for as long",
    "unet_averaged": "the paper's U-Net, its rate falling and its weights averaged",
    "mask_rcnn": "Mask R-CNN, from random weights",
}

CURVES = "sawicki2020-curves.svg"

EXAMPLES = 5

ROWS: tuple[tuple[tuple[str, ...], bool], ...] = (
    (("unet",), False),
    (("unet_longer",), False),
    (("unet_averaged",), False),
    (("mask_rcnn",), False),
    (("unet_longer", "mask_rcnn"), False),
    (("random",), True),
    (("gaps",), True),
    (("short",), True),
    (("half",), True),
    (("half", "other"), False),
    (("half", "other"), True),
    (("half", "other", "unet_longer"), True),
    (("weighted",), True),
    (BEST, False),
    (BEST, True),
)
"""Trainings that predict together, and whether in eight views."""

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
numbers have that advantage as well. Test A was scored before with an earlier model of the same recipe, trained for
1,504 steps (F1 .885). What was chosen with that in sight: specks may be no larger than what one in fifty glands of
train falls below, instead of 1,500 px, and the model to use is none with the paper's U-Net. That one of its two
networks weighs gaps is what held-out patients prefer (the sum of F1 and object Dice, of the network alone and of
both); that weighing helps after 1,504 steps had been seen on test A, too, before that network was trained."""


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
    parser.add_argument("--train", choices=("best", *TRAININGS), help="train this row instead of scoring")
    parser.add_argument("--minutes", type=float, help="of a training (default: its own)")
    parser.add_argument("--combine", action="store_true", help="write WORK/best.safetensors, of what is trained")
    arguments = parser.parse_args()
    data, work = arguments.data, arguments.work
    if arguments.train:
        if arguments.train == "best":
            train_side_by_side(BEST, data, work, arguments.minutes)
        else:
            train(arguments.train, data, work, minutes=arguments.minutes or MINUTES[arguments.train])
    if arguments.train == "best" or arguments.combine:
        print(write_best(data, work))
    if arguments.train or arguments.combine:
        return
    there = {name for name in TRAININGS if (work / name / "model.safetensors").is_file()}
    rows = [kept(names, data, work, tta=tta) for names, tta in ROWS if there.issuperset(names)]
    write_page("sawicki2020", "Glands: U-Net beside an instance-aware network", body(rows, arguments.work), seed=0)


def train_side_by_side(names: Sequence[str], data: Path, work: Path, minutes: float | None) -> None:
    """Each training in a process of its own with its share of the cores, which takes less time than one on all."""
    threads = max(1, len(os.sched_getaffinity(0)) // len(names))
    command = [sys.executable, __file__, "--data", str(data), "--work", str(work)]
    command += [] if minutes is None else ["--minutes", str(minutes)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    running = [subprocess.Popen([*command, "--train", name], env=environment) for name in names]
    if sum(abs(process.wait()) for process in running):
        raise SystemExit("a training stopped; the same command goes on where it was")


def kept(names: Sequence[str], data: Path, work: Path, *, tta: bool) -> Scored:
    """A row, scored now unless it was before with the same models: test A is looked at once for each."""
    path = score_path(names, work, tta=tta)
    if not path.is_file():
        row = scored(names, data, work, tta=tta)
        make_folder(path.parent)
        write_json(path, row)
        print(row.title, row.held_out, row.choice, flush=True)
    return msgspec.convert(read_json(path), Scored)


def score_path(names: Sequence[str], work: Path, *, tta: bool) -> Path:
    """Where the score of models is kept, by what their files hold."""
    digest = "-".join(model_hash(work / name / "model.safetensors")[:12] for name in names)
    return work / "scores" / f"{digest}{'-views' if tta else ''}.json"


def scored(names: Sequence[str], data: Path, work: Path, *, tta: bool) -> Scored:
    """Choose on held-out patients, then score test A."""
    models = [load_model(work / name) for name in names]
    caches = [work / "maps" / name for name in names]
    records, options, at_best = chosen(names, models, data, work, tta=tta)
    glands: list[GlandCounts] = []
    masks: list[MaskCounts] = []
    tested = [one for one in records if one.split == "testA"]
    make_folder(work / "examples")
    shown = {one.name for one in evenly(tested, EXAMPLES)} if names == BEST else set()
    for record, maps in predicted(tested, models, caches, tta=tta):
        labels, reference = objects(maps, options), read_labels(record.mask)
        if record.name in shown:
            pixels = read_image(record.image).pixels[0]
            pair = [overlay(pixels, one) for one in (reference, labels)]
            write_overlay(work / "examples" / f"{record.name}.jpg", np.concatenate(pair, axis=1))
        glands.append(count_glands(labels, reference))
        square = Square((reference.shape[0], reference.shape[1]))
        masks.append(count_masks(square.labels(labels > 0), square.labels(reference > 0)))
    title = " + ".join(TITLES[name] for name in names)
    title += ", TTA" if tta else ""
    trained = "; ".join(how_trained(work / name, model) for name, model in zip(names, models, strict=True))
    said = f"{options.method}, threshold {options.foreground_threshold:g}, specks below {options.smallest_area_px} px"
    said += f", summits {options.seed_threshold:g}" if options.method == "watershed" else ""
    return Scored(title, trained, said, at_best, gland_rows(glands), mask_rows(masks))


def how_trained(run: Path, model: Model) -> str:
    """Start, width, steps and minutes, as the run's own files say."""
    record = model.header.training
    recipe = parse_recipe((run / "recipe.toml").read_text(encoding="utf-8"))
    start = {"": "random", "imagenet": "ImageNet"}.get(recipe.model.init, Path(recipe.model.init).parent.name)
    options = recipe.model.options
    size_of_network = f"width {options['width']}" if "width" in options else str(options["backbone"])
    size = f"scale {recipe.data.scale:.2g}, {recipe.training.batch} × {recipe.training.patch_px}²"
    return f"{start}, {size_of_network}, {size}, {record.steps} steps, {record.seconds / 60:.0f} min"


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
            curves(work),
            CAUTION,
            missing(work),
        ]
    )


def curves(work: Path) -> str:
    """Held-out Dice of each training against its steps, and where its best moment was; of stopped ones, too."""
    lines, best = {}, []
    for name, title in TITLES.items():
        history = work / name / "history.csv"
        if not history.is_file():
            continue
        columns = read_csv(history)
        steps, scores = np.array(columns["step"], float), np.array(columns["score"], float)
        dice = np.array(columns.get("dice", columns.get("mean_dice")), float)
        lines[title] = (steps.tolist(), dice.tolist())
        top = int(scores.argmax())
        best.append((title, f"{steps[top]:.0f} of {steps.max():.0f}", f"{dice[top]:.3f}"))
    svg = compared_curves(lines, label="Dice on held-out patients")
    svg = svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"', 1)
    (FOLDER / CURVES).write_text(svg, encoding="utf-8")
    return "\n\n".join(
        [
            f"![Dice on held-out patients in the course of each training]({CURVES})",
            table(("training", "kept weights are of step", "held-out Dice there"), best),
            "Of networks with objects it is the Dice of the foreground, of the paper's the mean over both classes. "
            f"Outlines of the references beside those found, for {EXAMPLES} images of test A, lie in WORK/examples: "
            "images of this set are not ours to publish.",
        ]
    )


def missing(work: Path) -> str:
    """What is not in the tables, and how it gets there."""
    names = [name for name in TRAININGS if not (work / name / "model.safetensors").is_file()]
    if not names:
        return ""
    listed = "; ".join(f"{TITLES[name]} (`--train {name}`)" for name in names)
    return f"**Not trained to its end here**, so without scores: {listed}."


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
