"""What makes a network that is told the class of an image no worse than a plain one where the class is withheld.

Remedies are compared on held-out images of simulated phase contrast alone, in the small size of the recipe corona2022,
each with several seeds, which draw the held-out images, the first weights and the patches; test images of the study are
not looked at. Every training is kept, so that an interrupted command goes on. About half a minute a training.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from page import load_note, table, write_page

import cellproof
from cellproof.workflows.collect import Plan, simulate_files

SIZE = (
    "model.options.width=8",
    "model.options.depth=4",
    "model.options.max_width=64",
    "training.patch_px=192",
    "training.validate_every=50",
    "training.validation_pixels=3000000",
    "data.validation=0.25",
)
"""The profile laptop of the recipe, validated more often and with more images."""

STEPS = "training.steps=250"
TOLD = ("data.condition=cell_type",)
THIRD, HALF = "data.condition_dropout=0.33", "data.condition_dropout=0.5"
MEAN, FILM = "data.unknown=mean", 'model.options.conditioning="film"'
GROUP = 'model.options.norm="group"'
AVERAGED = "training.average_decay=0.97"

VARIANTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "U-Net": ("", ()),
    "zeros, a third": ("U-Net", (*TOLD, THIRD)),
    "zeros, half": ("U-Net", (*TOLD, HALF)),
    "mean, a third": ("U-Net", (*TOLD, THIRD, MEAN)),
    "mean, half": ("U-Net", (*TOLD, HALF, MEAN)),
    "FiLM, zeros, a third": ("U-Net", (*TOLD, THIRD, FILM)),
    "FiLM, mean, half": ("U-Net", (*TOLD, HALF, MEAN, FILM)),
    "U-Net, weights averaged": ("U-Net", (AVERAGED,)),
    "zeros, a third, weights averaged": ("U-Net, weights averaged", (*TOLD, THIRD, AVERAGED)),
    "mean, half, weights averaged": ("U-Net, weights averaged", (*TOLD, HALF, MEAN, AVERAGED)),
    "U-Net, group norm": ("U-Net", (GROUP,)),
    "zeros, a third, group norm": ("U-Net, group norm", (*TOLD, THIRD, GROUP)),
}
"""Variant → the plain network it is compared with, and what differs from the recipe."""

Row = Mapping[str, float]


def main() -> None:
    """Train what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("condition-work"), help="where trainings are kept")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each variant (default: 3)")
    parser.add_argument("--only-there", action="store_true", help="train nothing, and show what is there")
    parser.add_argument("--trained-at", default="", help="commit of the trainings, where it is another one")
    arguments = parser.parse_args()
    found = trained(arguments.work, seeds=arguments.seeds, only_there=arguments.only_there)
    trainings = f" Trained at commit {arguments.trained_at}." if arguments.trained_at else ""
    body = (
        f"32 simulated images of 512 px, a quarter of them held out; 250 steps of 192 px patches at a quarter of the "
        f"channels, validated every 50.{trainings} {load_note()} The machine was shared.\n\n{summary(found)}"
    )
    write_page("condition", "A network that is told the class, where the class is withheld", body, seed=0)


def trained(work: Path, *, seeds: int, only_there: bool) -> dict[str, dict[int, list[Row]]]:
    """Validations of every variant, by seed; what is there is read, and the rest trained unless only that is asked."""
    data = work / "images"
    simulate_files(Plan("phase_contrast", seed=9, size=512), data, count=32)
    found: dict[str, dict[int, list[Row]]] = {}
    for seed in range(seeds):
        for name, (_, changes) in VARIANTS.items():
            kept = work / f"{name}, seed {seed}.json"
            key = {"name": name, "changes": [*SIZE, STEPS, *changes]}
            stored = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
            if stored.get("key") != key and only_there:
                continue
            if stored.get("key") != key:
                stored = {"key": key, "rows": _validations(data, work / "run", key["changes"], seed=seed)}
                kept.write_text(json.dumps(stored), encoding="utf-8")
            found.setdefault(name, {})[seed] = stored["rows"]
    return found


def _validations(data: Path, run: Path, changes: Sequence[str], *, seed: int) -> list[Row]:
    shutil.rmtree(run, ignore_errors=True)
    cellproof.train(data, run, recipe="corona2022", init="", seed=seed, overrides=changes)
    with (run / "history.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    shutil.rmtree(run)
    names = ("step", "score", "mean_iou", "mean_iou_withheld")
    return [{name: float(row[name]) for name in names if row.get(name)} for row in rows]


def summary(found: Mapping[str, Mapping[int, Sequence[Row]]]) -> str:
    """Variants downward: scores told and withheld at the moment that validation chooses, and beside the plain one."""
    lines = []
    for name, (plain, _) in VARIANTS.items():
        seeds = sorted(found.get(name, {}))
        if not seeds:
            continue
        chosen = [max(found[name][seed], key=lambda row: row["score"]) for seed in seeds]
        by_told = [max(found[name][seed], key=lambda row: row["mean_iou"]) for seed in seeds]
        told, withheld, other = (
            [row.get(key, np.nan) for row in rows]
            for rows, key in ((chosen, "mean_iou"), (chosen, "mean_iou_withheld"), (by_told, "mean_iou_withheld"))
        )
        line = [name, str(len(seeds)), _mean(told), _mean(withheld), _mean(other)]
        best = [max(row["score"] for row in found[plain][seed]) for seed in seeds] if plain else []
        own = told if np.isnan(withheld).any() else withheld
        differences = [mine - theirs for mine, theirs in zip(own, best, strict=False)]
        line += [plain or "–", " ".join(f"{one:+.3f}" for one in differences) or "–"]
        lines.append(line)
    note = (
        "Mean IoU of both classes on held-out images, mean over seeds. *Withheld*: at the moment that is best told and "
        "withheld together; *by told alone*: at the moment that is best told. Difference: withheld (told, where the "
        "network is always told or knows no class) less the plain network of the same seed, one number a seed. "
        "Variants with one seed were not repeated, for they were behind, or served to find the cause."
    )
    headings = ["variant", "seeds", "told", "withheld", "withheld, by told alone", "against", "difference"]
    return f"{note}\n\n{table(headings, lines)}"


def _mean(values: Sequence[float]) -> str:
    return "–" if np.isnan(values).any() else f"{np.mean(values):.3f}"


if __name__ == "__main__":
    main()
