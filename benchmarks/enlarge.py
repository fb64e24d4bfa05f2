"""Whether the default model gains where images are enlarged before it sees them, small nuclei above all.

``python benchmarks/enlarge.py DATA/dsb2018``: images of `dsb2018` val, one view, seen at once, one and a half times and
twice their size, decoded as the model's file says. Two minutes on 2 idle cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from page import table, write_page

from cellproof.data.description import read_description
from cellproof.data.index import attribute, index
from cellproof.instances.decode import decode
from cellproof.io import read_image, read_labels
from cellproof.metrics import objects
from cellproof.metrics.protocols import ObjectImage, count_objects
from cellproof.workflows.predict import Predictor, load_model
from cellproof.workflows.predict.objects import usual_diameter

SCALES = (1.0, 1.5, 2.0)

PLACES = [objects.THRESHOLDS.index(threshold) for threshold in (0.5, 0.75, 0.9)]


@dataclass(frozen=True)
class Seen:
    """One image.

    Attributes:
        modality: Of the image.
        diameter_px: Usual diameter of the nuclei found at its own size.
        counts: For each scale.
    """

    modality: str
    diameter_px: float
    counts: tuple[ObjectImage, ...]


def main() -> None:
    """Predict at every scale, score, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the set dsb2018")
    parser.add_argument("--model", default="nuclei", help="name or file (default: nuclei)")
    arguments = parser.parse_args()
    every = _all(arguments.data, arguments.model)
    groups: list[tuple[str, Callable[[Seen], bool]]] = [
        ("fluorescence", lambda one: one.modality == "fluorescence"),
        ("… nuclei of up to 14 px", lambda one: one.modality == "fluorescence" and one.diameter_px < 14),
        ("… 14 to 18 px", lambda one: one.modality == "fluorescence" and 14 <= one.diameter_px < 18),
        ("… 18 to 26 px", lambda one: one.modality == "fluorescence" and 18 <= one.diameter_px < 26),
        ("… larger", lambda one: one.modality == "fluorescence" and one.diameter_px >= 26),
        ("histology", lambda one: one.modality == "histology"),
        ("bright field", lambda one: one.modality == "brightfield"),
    ]
    rows = []
    for title, belongs in groups:
        part = [one for one in every if belongs(one)]
        nuclei = sum(one.counts[0].n_objects for one in part)
        rows.append([title, len(part), nuclei, *(_scores(part, number) for number in range(len(SCALES)))])
    body = [
        (__doc__ or "").split("\n\n")[1],
        "AP at IoU 0.5 / 0.75 / 0.9 = TP/(TP + FP + FN), counts pooled over the images of a row, told apart by "
        "the usual diameter of the nuclei that are found at their own size.",
        table(["", "images", "nuclei", *(f"{scale:g} times" for scale in SCALES)], rows),
        "Images of val chose the decoding at their own size, and no other; small differences may be owed to that.",
    ]
    write_page("enlarge", "Enlarged images", "\n\n".join(body), seed=0)


def _all(data: Path, name: str) -> list[Seen]:
    model = load_model(name)
    predictor, options = Predictor.of_model(model), model.header.instance
    description = read_description(data)
    assert description is not None
    found = []
    for record in index(data, description):
        if record.split != "val":
            continue
        image, reference = predictor.prepare(read_image(record.image).pixels[0]), read_labels(record.mask)
        labels = []
        for scale in SCALES:
            maps = predictor.predict(image, scale=scale)
            labels.append(decode(maps.probabilities, maps.fields, options=options))
        counts = tuple(count_objects(one, reference) for one in labels)
        found.append(Seen(attribute(record, "modality"), usual_diameter(labels[0]), counts))
    return found


def _scores(part: list[Seen], number: int) -> str:
    values = []
    for place in PLACES:
        counts = [one.counts[number].matches[place] for one in part]
        values.append(f"{objects.average_precision(sum(counts[1:], start=counts[0])):.3f}")
    return " / ".join(values)


if __name__ == "__main__":
    main()
