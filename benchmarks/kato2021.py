"""Learned preprocessing: ``cellproof reproduce kato2021`` as a page, its claims tested, and IoU against photons.

Every score comes from ``reproduce``; what it trained is kept in ``--work`` and not done again, so that the command may
be run several times, with other sets and folds: the page shows all scores that are there. ``--show`` trains nothing.
On simulated liver filters and outputs of the first fold are looked at, small changes of its training are tried
(``--why``), and test specimens of all folds are recorded again with other numbers of photons.

About an hour of two cores for ``--profile laptop``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import kato2021_why
import numpy as np
from kato2021_light import doses, finished
from kato2021_why import outputs, prepared, specimens
from page import FOLDER, load_note, table, write_page
from PIL import Image
from study import study_parser, study_request

from cellproof.metrics import pixel
from cellproof.metrics.paired import compare
from cellproof.recipe import StudySetConfig
from cellproof.report.difficulty_pictures import side_by_side
from cellproof.workflows.predict import MODEL_FILE
from cellproof.workflows.reproduce.cells import Cell
from cellproof.workflows.reproduce.costs import cost_table, keep_costs
from cellproof.workflows.reproduce.explained import draw_explained
from cellproof.workflows.reproduce.fold import Fold, Study, folds_that_are_there
from cellproof.workflows.reproduce.run import Results, open_study, reproduce, write_study
from cellproof.workflows.reproduce.tables import tables
from cellproof.workflows.train.state import Watcher

RECIPE = "kato2021"
PROPOSED, BASELINE, OURS = "proposed", "U-Net", "filters start at 1"
CONTROLS = ("U-Net, same parameters", "U-Net, same arithmetic", "cascade", "5 U-Nets")
TRANSLATING = ("without ensemble", "fixed weights", PROPOSED, OURS)
POINT = 0.01


def main() -> None:
    """Carry out what is missing, write the page of everything in the folder."""
    arguments = _arguments()
    request = study_request(arguments, RECIPE)
    watcher = Watcher(say=lambda sentence: print(sentence, flush=True))
    study = open_study(request, watcher)
    results = write_study(study) if arguments.show else reproduce(request, watcher)
    folds = {config.name: _scored(study, config) for config in study.config.sets}
    first = [own[0] for own in folds.values() if own]
    body = [
        f"{study.config.reference}. Networks: {study.profile.note}. Scores are pooled over the images of a fold, then "
        "mean ± standard deviation over folds. What the entries are, and what was found, stands in "
        f"[docs/reproduce.md](../docs/reproduce.md#{RECIPE}). {_carried_out(folds)}",
        *_scores(results),
        *_claims(results.cells),
        *_published(study),
        *_costs(first),
    ]
    if folds["liver"] and folds["liver"][0].found.is_simulated:
        if arguments.why:
            kato2021_why.carry_out(folds["liver"][0], arguments.work / "why")
        light, images = arguments.work / "light", arguments.light_images
        body += [
            *_filters(folds["liver"][0]),
            *kato2021_why.collapsed_by_fold(folds["liver"], TRANSLATING),
            *kato2021_why.shown(arguments.work / "why"),
            *doses(folds["liver"], light, images=images, seed=arguments.seed, figure=f"{RECIPE}-light.svg"),
        ]
    write_page(RECIPE, "Learned preprocessing and ensemble", "\n".join(body), seed=arguments.seed)


def _scored(study: Study, config: StudySetConfig) -> list[Fold]:
    """Folds of a set of which scores are there."""
    every = folds_that_are_there(study, config)
    return [fold for fold in every if any(fold.scores(one) is not None for one in study.plan.entries.values())]


def _carried_out(folds: Mapping[str, Sequence[Fold]]) -> str:
    parts = []
    for own in folds.values():
        if own:
            there = len(folds_that_are_there(own[0].study, own[0].found.config))
            parts.append(f"{own[0].found.title} {len(own)} of {there}")
    return f"Folds that were carried out: {', '.join(parts)}."


def _arguments() -> argparse.Namespace:
    parser = study_parser(__doc__, RECIPE)
    parser.add_argument("--show", action="store_true", help="train nothing of the study; show what is there")
    parser.add_argument("--why", action="store_true", help="train what may say why: 15 minutes of one core")
    parser.add_argument("--light-images", type=int, default=2, help="test images of each fold at every dose")
    return parser.parse_args()


def _scores(results: Results) -> list[str]:
    """IoU and Dice of every set; what else was scored stands in ``tables.csv``."""
    lines = []
    for shown in tables(results.cells, results.lines, results.columns):
        if shown.words != 1:
            continue
        kept = [k for k, name in enumerate(shown.columns) if k == 0 or name.startswith(("IoU", "Dice"))]
        rows = [[row[k] for k in kept] for row in shown.rows]
        lines += ["", f"## {shown.title}", "", shown.note, "", table([shown.columns[k] for k in kept], rows)]
    return lines


def _images(cells: Sequence[Cell], set_: str, entry: str) -> dict[str, float]:
    """Name of each test image → its mean IoU."""
    found = {}
    for cell in cells:
        if (cell.set, cell.entry) == (set_, entry):
            score = cell.scores[0]
            place = [tuple(column) for column in score.columns].index(("IoU", "mean"))
            found.update({name: values[place] for name, values in score.images.items()})
    return found


def _claims(cells: Sequence[Cell]) -> list[str]:
    """Differences of mean IoU image by image, and what they say of the claims."""
    rows: list[list[object]] = []
    asked = [(PROPOSED, rival) for rival in (BASELINE, *CONTROLS)]
    asked += [(OURS, rival) for rival in (PROPOSED, BASELINE, *CONTROLS)]
    for set_ in dict.fromkeys(cell.set for cell in cells):
        for entry, rival in asked:
            ours, theirs = _images(cells, set_, entry), _images(cells, set_, rival)
            both = [name for name in ours if name in theirs]
            if not both:
                continue
            paired = compare(np.array([ours[n] for n in both]), np.array([theirs[n] for n in both]))
            low, high = paired.interval or (float("nan"), float("nan"))
            within = f"{low:+.3f} to {high:+.3f}" if paired.interval else "–"
            least = POINT if (entry, rival) == (PROPOSED, BASELINE) else 0.0
            verdict = "holds" if low > least else "fails" if high < least else "undecided"
            verdict = verdict if paired.interval else "–"
            claim = f"{entry} exceeds {rival}" + (" by 1 point" if least else "")
            p = "–" if paired.p_value is None else "< 0.001" if paired.p_value < 0.001 else f"{paired.p_value:.3f}"
            rows.append([set_, claim, len(both), f"{paired.difference:+.3f}", within, p, verdict])
    said = [row[-1] for row in rows if str(row[1]).startswith(f"{PROPOSED} ")]
    count = ", ".join(f"{said.count(word)} {word}" for word in ("holds", "fails", "undecided"))
    return [
        "",
        "## Claims",
        "",
        "Mean IoU of each test image of all folds; 95 % bootstrap interval and two-sided Wilcoxon test, neither for "
        "fewer than 5 images. A claim holds "
        "where the whole interval lies above what is claimed, and fails where all of it lies below; of the proposed "
        f"model: {count}. The intervals say nothing of other trainings: a fold was trained once.",
        "",
        table(["set", "claim", "images", "difference", "95 % interval", "p", "verdict"], rows),
    ]


def _published(study: Study) -> list[str]:
    """The paper's numbers, in a table of their own: no set of ours holds its images."""
    numbers = study.config.published
    sets = dict.fromkeys(number.set for number in numbers)
    lines = ["", "## The paper's own numbers", "", "On its own images, which are not public; 300 epochs, full width."]
    for set_ in sets:
        own = [number for number in numbers if number.set == set_]
        columns = list(dict.fromkeys((number.metric, number.of) for number in own))
        known = {(number.entry, number.metric, number.of): f"{number.value:.4f}" for number in own}
        entries = dict.fromkeys(number.entry for number in own)
        rows = [[entry, *(known.get((entry, *column), "–") for column in columns)] for entry in entries]
        lines += ["", table([set_, *(f"{metric} {of}" for metric, of in columns)], rows)]
    return lines


def _costs(folds: Sequence[Fold]) -> list[str]:
    lines: list[str] = []
    for fold in folds:
        keep_costs(fold)
        shown = cost_table(fold)
        if shown is not None:
            lines += ["", f"## {shown.title}", "", shown.note + ".", "", table(shown.columns, shown.rows)]
    return [*lines, "", load_note()]


def _filters(fold: Fold) -> list[str]:
    """What filters, translated images and weights are like, and what each output is worth alone."""
    rows, parts = [], []
    for name, model in finished(fold).items():
        network = model.networks()[0]
        if not hasattr(network, "ensemble_weights"):
            continue
        maps: dict[str, list[np.ndarray]] = {}
        counts: dict[str, pixel.Confusion] = {}
        for pixels, mask in specimens(fold, fold.split.test[:5]):
            image = prepared(model, pixels)
            for key, values in network.explain(image).items():
                maps.setdefault(key, []).append(values)
            for key, logits in outputs(network, image).items():
                one = pixel.confusion(logits.argmax(1)[0].numpy(), mask, classes=logits.shape[1])
                counts[key] = counts[key] + one if key in counts else one
        for key, arrays in maps.items():
            flat = np.stack(arrays)
            dead = f"{(flat <= 0).mean():.0%}" if key.startswith("filter") else "–"
            rows.append([name, key, float(flat.mean()), float(flat.std()), float(flat.min()), float(flat.max()), dead])
        weights = ["–", *(f"{weight:.2f}" for weight in network.ensemble_weights)]
        for (key, count), weight in zip(counts.items(), [*weights, *[""] * len(counts)], strict=False):
            parts.append([name, key, weight, float(np.nanmean(pixel.iou(count)))])
    _draw_filters(fold)
    return [
        "",
        "## Filters and translated images",
        "",
        "Five test images of liver. A filter that is 0 nearly everywhere has collapsed: it translates nothing. The "
        "sigmoid of an image in [0, 1] and a filter that is not negative lies above 0.5, so that the spread of the "
        "translated image, beside that of the image, says what is left of its contrast "
        f"(the images' own standard deviation is {_spread(fold):.3f}).",
        "",
        table(["entry", "map", "mean", "sd", "least", "most", "pixels at 0"], rows),
        "",
        "Each output on its own, and its weight in the ensemble (mean IoU over the same images):",
        "",
        table(["entry", "output", "weight", "IoU mean"], parts),
        "",
        f"![Image, filters, translated images and segmentation of a test image]({RECIPE}-filters.jpg)",
    ]


def _spread(fold: Fold) -> float:
    model = next(iter(finished(fold).values()))
    return float(np.std([prepared(model, pixels).numpy() for pixels, _ in specimens(fold, fold.split.test[:5])]))


def _draw_filters(fold: Fold) -> None:
    path = fold.run(PROPOSED) / MODEL_FILE
    if path.is_file():
        sheet = side_by_side(draw_explained(path, fold.split.test[0].image), columns=4)
        Image.fromarray(sheet).save(FOLDER / f"{RECIPE}-filters.jpg", quality=85)


if __name__ == "__main__":
    main()
