"""Models beside each other on val, on degraded and enlarged copies of it, and on its sections in other dyes.

``python benchmarks/stains.py DATA/dsb2018 nuclei second.safetensors``: objects of one view, at the scale that each
model chooses. Degraded are every second fluorescence image, enlarged three times every fourth; sections are restained
in optical density, by seeds that no training used: with DAB in and around nuclei, in dyes of any color, and as other
laboratories' hematoxylin and eosin. Redrawn colors are no real stains: what learned from the like of them has an
advantage here. A minute a model on 2 idle cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from groups import pooled_ap
from page import table, write_page
from scipy import ndimage

from cellproof.augment.stain import Restain
from cellproof.data.description import Description, read_description
from cellproof.data.index import Record, attribute, index
from cellproof.data.samples import fix_mask
from cellproof.io import read_image, read_labels
from cellproof.metrics import objects
from cellproof.workflows.predict import Predictor, Timings, load_model, predict_objects
from cellproof.workflows.train.trust import COPIES, degrade
from cellproof.workflows.train.views import THRESHOLDS

DYES = {
    "DAB in nuclei": (Restain(dab=1.0, foreign=0.0, cytoplasm=0.0), (1, 2, 3)),
    "DAB in and around nuclei": (Restain(dab=1.0, foreign=0.0, cytoplasm=1.0), (4, 5, 6)),
    "two dyes of any color": (Restain(dab=0.0, foreign=1.0), (7, 8)),
    "other H&E": (Restain(dab=0.0, foreign=0.0), (9, 10)),
}
"""How sections are restained, and the seeds of their copies."""


ENLARGED = 3
"""Times as long and as wide."""


@dataclass(frozen=True, eq=False)
class Shown:
    """One image: its row in the table, raw pixels, how its normalized form is degraded, and the truth."""

    row: str
    pixels: np.ndarray
    copy: str
    seed: int
    reference: np.ndarray


def main() -> None:
    """Predict, score, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the set dsb2018")
    parser.add_argument("models", nargs="+", help="names or files")
    arguments = parser.parse_args()
    description = read_description(arguments.data)
    assert description is not None
    records = [record for record in index(arguments.data, description) if record.split == "val"]
    found = [_counted(name, records, description) for name in arguments.models]
    rows = [[row, len(found[0][row]), *(pooled_ap(counts[row]) for counts in found)] for row in found[0]]
    body = [
        (__doc__ or "").split("\n\n")[1],
        "AP at IoU 0.5 / 0.75 / 0.9 = TP/(TP + FP + FN), counts pooled over the images of a row.",
        table(["", "images", *(Path(name).stem for name in arguments.models)], rows),
    ]
    write_page("stains", "Degraded and enlarged images, and other dyes", "\n\n".join(body), seed=0)


def _counted(
    name: str, records: Sequence[Record], description: Description
) -> dict[str, list[list[objects.ObjectCounts]]]:
    """Row → of each image the matches of a model at each of `THRESHOLDS`."""
    model = load_model(name)
    predictor = Predictor.of_model(model)
    counts: dict[str, list[list[objects.ObjectCounts]]] = {}
    for shown in _shown(records, description):
        image = predictor.prepare(shown.pixels)
        if shown.copy:
            image = degrade(image, shown.copy, seed=shown.seed)
        overlap = objects.overlap(predict_objects(model, image, timings=Timings()).labels, shown.reference)
        found = [objects.count_matches(overlap, threshold) for threshold in THRESHOLDS]
        counts.setdefault(shown.row, []).append(found)
    return counts


def _shown(records: Sequence[Record], description: Description) -> Iterator[Shown]:
    """Every image of every row, made anew each time, for all together would fill the memory."""
    number = 0
    for kind in ("fluorescence", "histology", "brightfield"):
        for record in records:
            if attribute(record, "modality") != kind:
                continue
            pixels, reference = read_image(record.image).pixels[0], fix_mask(read_labels(record.mask), description)[0]
            yield Shown(kind, pixels, "", 0, reference)
            if kind == "fluorescence":
                number += 1
                for copy in COPIES if number % 2 else ():
                    yield Shown(f"fluorescence, {copy}", pixels, copy, number, reference)
                if number % 4 == 0:
                    enlarged = ndimage.zoom(pixels, (1, ENLARGED, ENLARGED), order=1)
                    larger = ndimage.zoom(reference, ENLARGED, order=0)
                    yield Shown(f"fluorescence, enlarged {ENLARGED} times", enlarged, "", 0, larger)
            elif kind == "histology":
                for row, (step, seeds) in DYES.items():
                    for seed in seeds:
                        rng = np.random.default_rng([seed, *record.name.encode()])
                        changed = step.apply(pixels, reference, step.draw(rng, reference))
                        yield Shown(row, changed, "", 0, reference)


if __name__ == "__main__":
    main()
