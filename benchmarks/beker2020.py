"""Hard pixels, pretrained encoders and heads on nuclei: ``cellproof reproduce beker2020`` as a page.

Every number comes from ``reproduce``, whose results are kept in ``--work``. Sets and entries that were not carried out
are missing from the tables. Receptive fields are measured on the trained networks and drawn into ``docs/images``. The
heads are beside StarDist on the page of `beker2020_heads.py`.

    python benchmarks/beker2020.py DATA --profile laptop
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from page import load_note, table, write_page
from study import study_parser, study_request

from cellproof.data.description import Description, read_description
from cellproof.data.index import Record, index
from cellproof.io import read_image
from cellproof.io.png import write_png
from cellproof.recipe import StudyConfig
from cellproof.recipe.toml import read_recipe
from cellproof.workflows.predict.load import EngineChoice, Model, load_model
from cellproof.workflows.reproduce import reproduce
from cellproof.workflows.reproduce.cells import Cell
from cellproof.workflows.reproduce.tables import Line
from cellproof.workflows.train import Watcher, draw_sight
from cellproof.workflows.train.sight import largest_diameter_px, sight_of

RECIPE = "beker2020"
DRAWN_ON = "5f9d29d6388c"
PICTURES = Path(__file__).parents[1] / "docs" / "images"

SHOWN = (
    ("stardist", "Dice", "foreground", "Dice"),
    ("boundary", "boundary Dice", "Canny 7×7", "boundary Dice"),
    ("upper_bound", "upper bound of precision", "0.5", "precision, upper bound"),
    ("upper_bound", "upper bound of recall", "0.5", "recall, upper bound"),
    ("upper_bound", "upper bound of F1", "0.5", "F1, upper bound"),
    ("stardist", "F1", "0.5", "F1 at 0.5"),
    ("stardist", "AP (StarDist)", "mean 0.5…0.95", "mean AP"),
)
"""Protocol, metric, class or threshold, and heading of each number of an entry."""

PAIRED = (
    ("boundary", "boundary Dice", "Canny 7×7", "boundary Dice"),
    ("stardist", "AP (StarDist)", "0.5", "AP 0.5"),
    ("stardist", "merges", "", "merges an image"),
)


def main() -> None:
    """Carry out what was asked and is missing, write the page of everything that is there."""
    arguments = study_parser(__doc__, RECIPE).parse_args()
    results = reproduce(
        study_request(arguments, RECIPE),
        Watcher(say=lambda sentence: print(sentence, flush=True)),
    )
    study = read_recipe(RECIPE).study
    assert study is not None
    body = [opening(study, arguments.profile, results.missing)]
    for name in dict.fromkeys(cell.set for cell in results.cells):
        cells = [cell for cell in results.cells if cell.set == name]
        lines = [line for line in results.lines if line.set == name]
        body += ["", f"## {name}", "", sizes(cells), "", scores(lines), "", mistakes(cells)]
        body += ["", f"Differences from {study.baseline}, image by image:", "", _differences(lines)]
    body += ["", "The heads beside one another and beside StarDist: [beker2020_heads](beker2020_heads.md)."]
    body += ["", "## What the networks see", "", _sight(arguments)]
    write_page(RECIPE, "Nuclei: hard pixels, encoders, heads", "\n".join(body), seed=arguments.seed)


def opening(study: StudyConfig, profile: str, missing: int) -> str:
    """What was trained, and how to read the tables."""
    size = study.profiles[profile].note
    lacking = f" {missing} of its scores were not made and are left out." if missing else ""
    return (
        f"{study.reference}. Networks: {size}.{lacking} Mean ± standard deviation over folds, where there are several; "
        "the paper's numbers, of all 79 images of its set and a whole training, stand in parentheses. *Upper bound*: "
        "the paper's objects, which take their ids from the reference; no result of a method. What protocols and "
        f"losses are, and what was found, stands in docs/reproduce.md and docs/train.md. {load_note()}"
    )


def sizes(cells: Sequence[Cell]) -> str:
    """How many images of a set there are for what."""
    folds = len({cell.fold for cell in cells})
    one = cells[0]
    return f"{one.learned} images to learn from, {one.validated} to choose with, {one.scored} scored; {folds} fold(s)."


def scores(lines: Sequence[Line]) -> str:
    """The numbers of `SHOWN`, an entry a row."""
    named = {
        (line.entry, line.protocol, line.row.metric, line.row.class_or_threshold): line.text
        for line in reversed(lines)
        if line.row.averaging == "pooled" and not line.row.group
    }
    entries = list(dict.fromkeys(line.entry for line in lines))
    rows = [[entry, *(named.get((entry, *where), "–") for *where, _ in SHOWN)] for entry in entries]
    return table(["entry", *(heading for *_, heading in SHOWN)], rows)


def mistakes(cells: Sequence[Cell]) -> str:
    """Merges, splits, misses and false objects of 100 reference nuclei, over all folds."""
    rows = []
    for entry in dict.fromkeys(cell.entry for cell in cells):
        counts: dict[str, float] = {}
        objects = 0
        for cell in (one for one in cells if one.entry == entry):
            score = next(one for one in cell.scores if one.protocol == "stardist")
            for row in score.rows:
                if row.metric in ("merges", "splits", "misses", "false objects") and not row.group:
                    counts[row.metric] = counts.get(row.metric, 0) + row.value
            objects += next(row.n_objects or 0 for row in score.rows)
        per_hundred = [f"{100 * count / objects:.1f}" if objects else "–" for count in counts.values()]
        rows.append([entry, objects, *per_hundred])
    return table(["entry", "nuclei", "merges per 100", "splits", "misses", "false objects"], rows)


def _differences(lines: Sequence[Line]) -> str:
    named = {
        (line.entry, line.protocol, line.row.metric, line.row.class_or_threshold): line.paired
        for line in lines
        if line.paired is not None and line.row.averaging == "pooled" and not line.row.group
    }
    rows = []
    for entry in dict.fromkeys(line.entry for line in lines):
        found = [named.get((entry, *where)) for *where, _ in PAIRED]
        if any(found):
            rows.append([entry, *(_paired_text(one) for one in found)])
    return table(["entry", *(heading for *_, heading in PAIRED)], rows)


def _paired_text(paired: Any) -> str:
    if paired is None:
        return "–"
    text = f"{paired.difference:+.3f}"
    if paired.interval is not None:
        text += f" ({paired.interval[0]:+.3f} to {paired.interval[1]:+.3f})"
    return text


def _sight(arguments: argparse.Namespace) -> str:
    """What trained networks see, in a table and two drawings."""
    rows, drawn = [], ""
    for entry in ("Dice", "EfficientNet, ImageNet"):
        found = sorted((arguments.work / "runs").glob(f"*/*/{entry}/model-*/model.safetensors"))
        if not found:
            continue
        model = load_model(found[0], EngineChoice(engine="torch"))
        seen = sight_of(model)
        sizes = [2 * radius + 1 for radius in (seen.stated_px, seen.reach_px, seen.effective_px)]
        rows.append([entry, seen.parameters / 1e6, *(f"{size:.0f}" for size in sizes)])
        drawn = drawn or _drawn(model, entry, arguments.data / "dsb2018")
    largest = []
    for name in ("dsb2018", "kromp2020"):
        description = read_description(arguments.data / name)
        assert description is not None
        records = _fluorescence(arguments.data / name, description)
        largest.append(f"{name} {largest_diameter_px(records, description):.0f} px")
    heading = ["entry", "M parameters", "theoretical, px", "found to act, px", "95 % of the gradient, px"]
    return f"{table(heading, rows)}\n\nDiameters. The largest nuclei measure: {', '.join(largest)}.\n\n{drawn}"


def _fluorescence(folder: Path, description: Description) -> list[Record]:
    return [
        one for one in index(folder, description) if one.attributes.get("modality", "fluorescence") == "fluorescence"
    ]


def _drawn(model: Model, entry: str, folder: Path) -> str:
    """Write the two drawings; what says so."""
    description = read_description(folder)
    assert description is not None
    image = next(one for one in _fluorescence(folder, description) if one.split == "val" and one.name == DRAWN_ON)
    sheets = draw_sight(model, read_image(image.image).pixels[0])
    for part, sheet in zip(("positions", "levels"), sheets, strict=True):
        write_png(PICTURES / f"receptive_{part}.png", sheet)
    return (
        f"Of *{entry}* on image {image.name} of dsb2018 val (CC0): what acts on nine output pixels, and what acts on "
        "the middle one in each level of the network.\n\n![what acts on nine output pixels]"
        "(../docs/images/receptive_positions.png)\n\n![what acts on one of them in each level]"
        "(../docs/images/receptive_levels.png)"
    )


if __name__ == "__main__":
    main()
