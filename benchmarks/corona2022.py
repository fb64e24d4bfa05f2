"""What each ingredient of the study corona2022 is worth, image by image, from the scores that `reproduce` left.

The commands that make the scores, of which the last two may be left out:

- ``cellproof reproduce corona2022 --data SETS --out STUDY --profile laptop``
- ``cellproof reproduce corona2022 --data SETS --out TOLD --profile told``
- ``cellproof reproduce benchmarks/usiigaci.toml --data SETS --out FOLDS --profile laptop``
- ``python benchmarks/quick.py corona2022 --data SETS --out QUICK``

This reads them, compares entries image by image, times post-processing on the networks' own predictions, and scores
the networks that have seen simulated cells alone on real sets that are there. About 5 minutes with both real sets; what
they score is kept beside the study.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from corona_costs import index_note, steps_table
from corona_scores import COMPARED, TOLD, Cell, comparisons_table, pooled_over_folds, read_cells, scores_table
from page import load_note, table, write_page

from cellproof import load_model, segment
from cellproof.data.description import read_description
from cellproof.data.index import index
from cellproof.io import read_json, read_labels, write_json
from cellproof.metrics import pixel
from cellproof.metrics.bootstrap import bootstrap_interval
from cellproof.metrics.protocols import count_objects, foreground_confusion, stardist_rows
from cellproof.recipe import read_recipe

APART = (
    ("AP (StarDist)", "0.5", "pooled", "AP 0.5"),
    ("AP (StarDist)", "0.75", "pooled", "AP 0.75"),
    ("mAP (Sartorius)", "mean 0.5…0.95", "pooled", "mAP (Sartorius)"),
    ("IoU", "", "pooled", "IoU"),
    ("Dice", "", "pooled", "Dice"),
)
"""What is shown of cells told apart; like `corona_scores.SHOWN`."""

REPAIRED = (("Hot", "Hot, closed", "Hot, tuned"), ("Hot Dice", "", "Hot Dice, tuned"))
"""Entries without post-processing, closed, and tuned."""


def main() -> None:
    """Write the page."""
    arguments = _arguments()
    sets = read_cells(arguments.study)
    parts = [_said(arguments.study, arguments.trained_at), *([arguments.note] if arguments.note else []), paper_table()]
    order = [entry.name for entry in read_recipe("corona2022").study.entries]  # type: ignore[union-attr]
    for name, entries in sets.items():
        missing = [entry for entry in order if entry not in entries]
        parts += [f"## {name}", scores_table(entries), comparisons_table(entries, COMPARED)]
        parts += [f"Not there yet: {', '.join(missing)}."] if missing else []
    parts += [post_processing(arguments.study, sets)]
    if arguments.told:
        parts += [told(arguments.told, arguments.told_at)]
    if arguments.folds:
        parts += [by_folds(arguments.folds, arguments.told_at)]
    if arguments.detector:
        parts += [detector(arguments.detector, sets, arguments.told_at)]
    if arguments.data:
        parts.append(from_simulation(arguments.study, arguments.data))
    parts += [f"## The index\n\n{index_note()}"]
    if arguments.quick:
        parts += [quick(arguments.quick)]
    write_page(
        "corona2022", "corona2022: neuronal cells, and what each ingredient is worth", "\n\n".join(parts), seed=0
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="what reproduce wrote")
    parser.add_argument("--trained-at", default="", help="commit that reproduce ran at, where it is another one")
    parser.add_argument("--note", default="", help="a sentence on the study, where its recipe has changed since")
    parser.add_argument("--told", type=Path, help="what reproduce wrote of the profile told")
    parser.add_argument("--folds", type=Path, help="what reproduce wrote of usiigaci.toml")
    parser.add_argument("--detector", type=Path, help="what reproduce wrote of Mask R-CNN, where not in the study")
    parser.add_argument("--told-at", default="", help="commit of these three")
    parser.add_argument("--quick", type=Path, help="what quick.py wrote")
    parser.add_argument("--data", type=Path, help="folder of usiigaci and cho_dic")
    return parser.parse_args()


def _said(study: Path, commit: str) -> str:
    """Size, commit and load."""
    cells = [cell for entries in read_cells(study).values() for one in entries.values() for cell in one]
    sizes = "; ".join(dict.fromkeys(str(cell["note"]) for cell in cells))
    trained = f" Trained and scored at commit {commit}." if commit else ""
    return f"Size: {sizes}.{trained} {load_note()} The machine was shared."


def paper_table() -> str:
    """Table 1 of the paper, with the Dice that its IoU would be."""
    study = read_recipe("corona2022").study
    assert study is not None
    values: dict[str, dict[str, float]] = {}
    for one in study.published:
        values.setdefault(one.entry, {})[one.metric] = one.value
    lines = [
        [
            entry,
            *(f"{own[name]:g}" for name in ("IoU", "Dice", "accuracy")),
            f"{2 * own['IoU'] / (1 + own['IoU']):.3f}",
        ]
        for entry, own in values.items()
    ]
    return (
        "## The paper's table 1\n\nOn the Sartorius set, which is not here. Its Dice cannot follow from its IoU: of "
        "one image, and of pooled pixels, Dice = 2 IoU / (1 + IoU); of a mean over images it is at least IoU.\n\n"
        + table(["entry", "IoU", "Dice", "accuracy", "Dice that the IoU would be"], lines)
    )


def post_processing(study: Path, sets: Mapping[str, Mapping[str, Sequence[Cell]]]) -> str:
    """Table 2 over whole sets: scores without and with post-processing, and milliseconds of every step."""
    lines = []
    for name, entries in sets.items():
        for row in REPAIRED:
            for entry in row:
                if entry in entries:
                    cells = entries[entry]
                    shown = [pooled_over_folds(cells, one, "", "pooled") for one in ("IoU", "Dice", "accuracy")]
                    lines.append([name, entry, str(sum(int(str(cell["scored"])) for cell in cells)), *shown])
    timed = [(path.parent.parent.name, path.parent) for path in sorted(study.glob("runs/*/fold1/data"))]
    return (
        "## Table 2: with and without post-processing\n\nOver all scored images. The paper's, on one image: IoU 0.652 "
        "to 0.676, Dice 0.238 to 0.257. *Closed*: closing alone; *tuned*: closing, tuning by the cubic support vector "
        "machine on intensity and Sobel, closing.\n\n"
        + table(["set", "entry", "images", "IoU", "Dice", "accuracy"], lines)
        + "\n\nMilliseconds of the processor for an image, one thread, medians of 5, on predictions of *Hot*. *Loop*: "
        "scikit-learn asked about every pixel at the edge alone, timed in the same run on 400 of them and multiplied, "
        "features not counted; *times faster*: than the tuning, features counted. Other tunings, and images of "
        "520 × 704 pixels with up to 1,600 cells: [boundary_tuning](boundary_tuning.md).\n\n" + steps_table(timed)
    )


def told(study: Path, commit: str) -> str:
    """Whether the class helps where it is given, is missed where it is withheld, and harms where it is wrong."""
    parts = [
        "## The class given, withheld, and wrong",
        f"Networks that are also to work without the class: chosen on validation images with it and without, "
        f"the remedies as [chosen on other images](condition.md). {_said(study, commit)}",
    ]
    for name, entries in read_cells(study).items():
        parts += [f"### {name}", scores_table(entries), comparisons_table(entries, TOLD)]
    return "\n\n".join(parts)


def by_folds(study: Path, commit: str) -> str:
    """Cells of phase contrast told apart, over folds."""
    parts = ["## usiigaci by folds", f"Folds are of runs of neighboring numbers. {_said(study, commit)}"]
    parts += [scores_table(entries, APART) for entries in read_cells(study).values()]
    return "\n\n".join(parts)


def detector(study: Path, sets: Mapping[str, Mapping[str, Sequence[Cell]]], commit: str) -> str:
    """Mask R-CNN beside the plain network on the same images."""
    parts = ["## Mask R-CNN", f"On the folds of the study above; 100 steps of a small one. {_said(study, commit)}"]
    for name, entries in read_cells(study).items():
        beside = {entry: sets[name][entry] for entry in ("U-Net", "Hot Dice") if entry in sets.get(name, {})}
        parts += [f"### {name}", scores_table({**beside, **entries})]
    return "\n\n".join(parts)


def quick(folder: Path) -> str:
    """What the small version takes."""
    found = read_json(folder / "quick.json")
    assert isinstance(found, dict)
    return (
        f"## --quick\n\n`python benchmarks/quick.py corona2022 --data sets --out {folder.name}` at commit "
        f"{found['commit']}: {found['processor_s']:.0f} s of the processor with {found['threads'] or 'all'} thread(s), "
        f"which is what an idle core would take; {found['wall_s']:.0f} s by the clock, at a load average of "
        f"{found['load']:.1f} on 2 cores. Peak memory {found['peak_bytes'] / 2**20:.0f} MiB."
    )


def from_simulation(study: Path, data: Path) -> str:
    """The networks that have seen simulated cells alone, on whole real sets that they never saw."""
    lines = []
    for entry in ("U-Net", "Hot Dice", "Flows, dropped"):
        files = sorted((study / "runs" / "sartorius" / "fold1" / entry).glob("model-*/model.safetensors"))
        for name in ("usiigaci", "cho_dic"):
            if files and (data / name).is_dir():
                kept = study / f"{entry} on {name}.json"
                if not kept.is_file():
                    write_json(kept, _scored(files[0], data / name))
                lines.append([entry, name, *read_json(kept)])  # type: ignore[misc]  # as written
    return (
        "## From simulated cells alone to real ones\n\nTrained on simulated phase contrast alone (nothing is told of "
        "the class), scored on all images of the real set; 95 % bootstrap interval over images.\n\n"
        + table(["entry", "set", "images", "IoU", "interval", "Dice", "AP 0.5", "IoU of everything marked"], lines)
    )


def _scored(model_file: Path, folder: Path) -> Sequence[str]:
    """Number of images, IoU with its interval, Dice, AP at 0.5, and what marking every pixel would score."""
    model, description = load_model(model_file), read_description(folder)
    assert description is not None
    confusions, counts, inside = [], [], []
    for record in index(folder, description):
        labels, reference = segment(record.image, model=model).labels, read_labels(record.mask)
        labels = np.asarray(labels).reshape(reference.shape)
        confusions.append(foreground_confusion(labels, reference))
        counts.append(count_objects(labels, reference))
        inside.append((int((reference > 0).sum()), reference.size))
    flat = np.stack([one.counts.ravel() for one in confusions]).astype(float)

    def iou(total: np.ndarray) -> float:
        return float(total[3] / max(total[1:].sum(), 1))

    low, high = bootstrap_interval(flat, iou, rng=np.random.default_rng(0))
    total = sum(confusions[1:], confusions[0])
    ap = next(r.value for r in stardist_rows(counts) if r.metric == "AP (StarDist)" and r.class_or_threshold == "0.5")
    dice = pixel.dice(total)[1]
    marked, pixels = np.sum(inside, axis=0)
    values = (
        f"{iou(flat.sum(0)):.3f}",
        f"{low:.3f} to {high:.3f}",
        f"{dice:.3f}",
        f"{ap:.3f}",
        f"{marked / pixels:.3f}",
    )
    return [str(len(flat)), *values]


if __name__ == "__main__":
    main()
