"""What keeps the default model from more: how it does on images that it learned from, and how far annotators agree.

``python benchmarks/limits.py DATA/dsb2018``: one view, decoded as the model's file says, train beside val. Then each
image of val is given the foreground threshold at which its own mean AP is highest, by its reference: an oracle that
knows how generous whoever drew that image was, and no model. Three minutes on 2 idle cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from groups import GROUPS, pooled_ap
from page import table, write_page

from cellproof.data.description import read_description
from cellproof.data.index import attribute, index
from cellproof.inference.activate import Maps
from cellproof.instances.decode import decode
from cellproof.io import read_image, read_labels
from cellproof.metrics import objects
from cellproof.types import InstanceOptions
from cellproof.workflows.predict import Predictor, load_model
from cellproof.workflows.train.views import THRESHOLDS

PLACES = [objects.THRESHOLDS.index(threshold) for threshold in THRESHOLDS]

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Foreground thresholds that the oracle chooses from, and the file's own."""

FEWEST_PAIRS = 5
"""Matched nuclei of an image from which on it has a median."""

Counts = list[objects.ObjectCounts]


@dataclass(frozen=True)
class Seen:
    """One image.

    Attributes:
        split: train or val.
        kind: Its modality.
        diameter_px: Median of its annotated nuclei.
        nuclei: How many are annotated.
        counts: At every threshold, decoded as the file says.
        best: The same at its own best foreground threshold; val only.
        wider_px: Median over matched nuclei of the predicted less the annotated radius; NaN for fewer than five.
    """

    split: str
    kind: str
    diameter_px: float
    nuclei: int
    counts: Counts
    best: Counts
    wider_px: float

    @property
    def excluded(self) -> bool:
        """Whether a disk of the image's usual size, drawn by so much wider or narrower, misses IoU 0.9."""
        radius = self.diameter_px / 2
        smaller, larger = sorted((radius, radius + self.wider_px))
        return bool((smaller / larger) ** 2 < max(THRESHOLDS))


def main() -> None:
    """Predict, score, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the set dsb2018")
    parser.add_argument("--model", default="nuclei", help="name or file (default: nuclei)")
    arguments = parser.parse_args()
    every = _all(arguments.data, arguments.model)
    scores, offsets = [], []
    for group in GROUPS:
        chosen = [one for one in every if group.holds(one.kind, one.diameter_px)]
        train, val = ([one for one in chosen if one.split == split] for split in ("train", "val"))
        as_it_is = [_ap([one.counts for one in part]) for part in (train, val)]
        own_level = _ap([one.best for one in val])
        scores.append([group.title, *_size(train), as_it_is[0], *_size(val), as_it_is[1], own_level])
        offsets.append([group.title, *_offsets(train), *_offsets(val)])
    body = [
        (__doc__ or "").split("\n\n")[1],
        "AP at IoU 0.5 / 0.75 / 0.9 = TP/(TP + FP + FN), counts pooled over the images of a row, told apart by the "
        "median diameter of their annotated nuclei.",
        table(
            ["", "images", "nuclei", "train", "images", "nuclei", "val", "val, best threshold of each image"], scores
        ),
        "How much wider than annotated nuclei are predicted: the median of each image (of five matched nuclei and "
        "more), its median and standard deviation over images in px of the radius, and the fraction of images where "
        "this alone, for a disk of the usual size, excludes an IoU of 0.9.",
        table(["", *("train, median", "± sd", "excluded"), *("val, median", "± sd", "excluded")], offsets),
    ]
    write_page("limits", "What keeps `nuclei` from more", "\n\n".join(body), seed=0)


def _all(data: Path, name: str) -> list[Seen]:
    model = load_model(name)
    predictor, options = Predictor.of_model(model), model.header.instance
    description = read_description(data)
    assert description is not None
    found = []
    for record in index(data, description):
        if record.split not in ("train", "val"):
            continue
        reference = read_labels(record.mask)
        maps = predictor.predict(predictor.prepare(read_image(record.image).pixels[0]), scale=1.0)
        overlap = objects.overlap(decode(maps.probabilities, maps.fields, options=options), reference)
        diameters = np.sqrt(4 * overlap.reference_areas_px / np.pi)
        found.append(
            Seen(
                record.split,
                attribute(record, "modality"),
                float(np.median(diameters)) if len(diameters) else 0.0,
                len(diameters),
                _counts(overlap),
                _best(maps, reference, options) if record.split == "val" else [],
                _wider_px(overlap),
            )
        )
    return found


def _counts(overlap: objects.Overlap) -> Counts:
    return [objects.count_matches(overlap, threshold) for threshold in objects.THRESHOLDS]


def _best(maps: Maps, reference: np.ndarray, options: InstanceOptions) -> Counts:
    """Counts at the foreground threshold of the image's highest mean AP; of equals the nearest to the file's own."""
    own = options.foreground_threshold
    tried = []
    for level in sorted({own, *LEVELS}, key=lambda level: abs(level - own)):
        labels = decode(
            maps.probabilities, maps.fields, options=msgspec.structs.replace(options, foreground_threshold=level)
        )
        tried.append(_counts(objects.overlap(labels, reference)))
    return max(tried, key=lambda counts: float(np.nan_to_num(np.mean([objects.average_precision(c) for c in counts]))))


def _wider_px(overlap: objects.Overlap) -> float:
    matched = overlap.pairs[overlap.iou >= THRESHOLDS[0]]
    if len(matched) < FEWEST_PAIRS:
        return float("nan")
    predicted = overlap.prediction_areas_px[matched[:, 1]]
    annotated = overlap.reference_areas_px[matched[:, 0]]
    return float(np.median(np.sqrt(predicted / np.pi) - np.sqrt(annotated / np.pi)))


def _size(part: Sequence[Seen]) -> tuple[int, int]:
    return len(part), sum(one.nuclei for one in part)


def _ap(every: Sequence[Counts]) -> str:
    return pooled_ap([[counts[place] for place in PLACES] for counts in every])


def _offsets(part: Sequence[Seen]) -> tuple[str, str, str]:
    measured = [one for one in part if np.isfinite(one.wider_px)]
    if len(measured) < FEWEST_PAIRS:
        return "–", "–", "–"
    values = [one.wider_px for one in measured]
    excluded = sum(one.excluded for one in measured)
    return f"{np.median(values):+.2f}", f"{np.std(values, ddof=1):.2f}", f"{excluded} of {len(measured)}"


if __name__ == "__main__":
    main()
