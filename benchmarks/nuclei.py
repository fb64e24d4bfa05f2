"""Accuracy of a nuclei model on images that it was not trained on.

The images go through ``cellproof segment`` with its default options and are scored by the code behind
``cellproof evaluate``: ``dsb2018`` val (used to choose thresholds, never to learn weights), by modality, and
``kromp2020`` train, of another laboratory, which the model never saw. Results of `segment` stay in ``--work``,
so that the same command again goes on where it stopped.

Under a minute on 2 idle cores, 3 with ``--tta``; `calibration.py` asks whether its confidence can be believed.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from child import run_cellproof
from page import table, write_page

from cellproof.data.description import read_description
from cellproof.data.index import Record, index
from cellproof.metrics import objects
from cellproof.metrics.bootstrap import FEWEST_IMAGES
from cellproof.metrics.rows import Row
from cellproof.workflows.evaluate.score import evaluate_folders
from cellproof.workflows.predict.load import load_model

AP, MEAN = "AP (StarDist)", "mean 0.5…0.95"


def main() -> None:
    """Segment, score, write the page."""
    arguments = _arguments()
    header = load_model(arguments.model).header
    body = [
        f"Model {header.name} ({header.training.steps} steps on {header.training.images} images of "
        f"{header.training.data}, seed {header.training.seed}), `cellproof segment` with its default options. "
        "Counts are pooled over images and then made into scores; in brackets the 95 % bootstrap interval over images. "
        "AP = TP/(TP + FP + FN) as in StarDist and the Data Science Bowl. Pixels of value 65535 in kromp2020 are not "
        "annotated and left out, with objects that lie in them by more than half. No interval stands where "
        "there are fewer than five images: the two of bright field are no more than an example.",
    ]
    for part in _parts(arguments):
        body += ["", f"## {part.title}", "", *_accuracy(part, arguments)]
    write_page(header.name, f"Accuracy of `{header.name}`", "\n".join(body), seed=arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds the sets dsb2018 and kromp2020")
    parser.add_argument("--model", default="nuclei", help="name or file (default: nuclei)")
    parser.add_argument("--work", type=Path, default=Path("results/benchmarks/nuclei"), help="where results are kept")
    parser.add_argument("--tta", action="store_true", help="segment both sets with --tta, too")
    parser.add_argument(
        "--images",
        type=int,
        help="segment only the first so many of each set, to try the script; others count as missed",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    return parser.parse_args()


@dataclass(frozen=True)
class Part:
    """One set of images, segmented in one way.

    Attributes:
        title: Heading.
        data: Folder of the set.
        split: Of the set.
        by: Column to group by; "" for none.
        tta: Whether eight views are averaged; else one, or four where the program asks for them.
    """

    title: str
    data: Path
    split: str
    by: str
    tta: bool


def _parts(arguments: argparse.Namespace) -> list[Part]:
    parts = []
    for tta in (False, True) if arguments.tta else (False,):
        ending = ", eight views (--tta)" if tta else ""
        parts += [
            Part(f"dsb2018 val{ending}", arguments.data / "dsb2018", "val", "modality", tta),
            Part(f"kromp2020 train, a foreign laboratory{ending}", arguments.data / "kromp2020", "train", "", tta),
        ]
    return parts


def _accuracy(part: Part, arguments: argparse.Namespace) -> list[str]:
    """Tables of one part."""
    out = arguments.work / f"{part.data.name}{'-tta' if part.tta else ''}"
    images = [record.image for record in _records(part, arguments)]
    options = ["--tta"] if part.tta else []
    run_cellproof("segment", *images, "--out", out, "--model", arguments.model, *options)
    reference = part.data / part.split
    rows = [row for row in evaluate_folders(out, reference, by=part.by, seed=arguments.seed) if not row.problem]
    names = ["", *sorted({row.group for row in rows} - {""})]
    groups = {name or "all": [row for row in rows if row.group == name] for name in names}
    headings = ["", *groups]
    pooled = table(headings, _pooled_lines(groups.values()))
    by_image = table(headings, _by_image_lines(groups.values()))
    return ["Pooled:", "", pooled, "", "Mean over images, ± standard deviation from five images on:", "", by_image]


def _pooled_lines(groups: Sequence[Sequence[Row]]) -> list[list[object]]:
    thresholds = [str(value) for value in objects.THRESHOLDS]
    wanted = [*((AP, of) for of in (*thresholds, MEAN)), ("F1", "0.5"), ("PQ", "0.5"), ("Dice", "foreground")]
    wanted += [(name, "") for name in ("merges", "splits", "misses", "false objects")]
    lines: list[list[object]] = [
        ["images", *(_find(rows, AP, "0.5").n_images for rows in groups)],
        ["objects", *(_find(rows, AP, "0.5").n_objects for rows in groups)],
    ]
    for metric, of in wanted:
        lines.append([_name(metric, of), *(_pooled_cell(_find(rows, metric, of)) for rows in groups)])
    return lines


def _name(metric: str, of: str) -> str:
    plain = metric.removesuffix(" (StarDist)")
    if of == MEAN:
        return f"{plain}, {of}"
    return f"{of} {plain}" if of == "foreground" else f"{plain}@{of}" if of else plain


def _by_image_lines(groups: Sequence[Sequence[Row]]) -> list[list[object]]:
    wanted = [(AP, "0.5"), (AP, "0.75"), (AP, "0.9"), (AP, MEAN), ("F1", "0.5"), ("PQ", "0.5"), ("Dice", "foreground")]
    return [
        [
            _name(metric, of),
            *(_by_image_cell(_find(rows, metric, of, averaging="mean over images")) for rows in groups),
        ]
        for metric, of in wanted
    ]


def _find(rows: Sequence[Row], metric: str, of: str, *, averaging: str = "pooled") -> Row:
    return next(row for row in rows if (row.metric, row.class_or_threshold, row.averaging) == (metric, of, averaging))


def _pooled_cell(row: Row) -> str:
    if not row.class_or_threshold:
        return f"{row.value:.0f}"
    low_high = f" ({row.interval[0]:.3f}–{row.interval[1]:.3f})" if _has_interval(row) else ""
    return f"{row.value:.3f}{low_high}"


def _has_interval(row: Row) -> bool:
    """Whether there were images enough for one."""
    return row.interval is not None and not math.isnan(row.interval[0])


def _by_image_cell(row: Row) -> str:
    return f"{row.value:.3f}" + (f" ± {row.sd:.3f}" if row.sd is not None and row.n_images >= FEWEST_IMAGES else "")


def _records(part: Part, arguments: argparse.Namespace) -> list[Record]:
    description = read_description(part.data)
    assert description is not None
    return [record for record in index(part.data, description) if record.split == part.split][: arguments.images]


if __name__ == "__main__":
    main()
