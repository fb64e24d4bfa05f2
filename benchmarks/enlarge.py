"""Whether the default model gains where images are enlarged before it sees them, small nuclei above all.

``python benchmarks/enlarge.py DATA/dsb2018``: images of `dsb2018` val, one view, seen at once, one and a half times and
twice their size, decoded as the model's file says. Two minutes on 2 idle cores.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from groups import GROUPS, pooled_ap
from page import table, write_page

from cellproof.data.description import read_description
from cellproof.data.index import attribute, index
from cellproof.instances.decode import decode
from cellproof.io import read_image, read_labels
from cellproof.metrics import objects
from cellproof.metrics.protocols import ObjectImage, count_objects
from cellproof.workflows.predict import Predictor, load_model
from cellproof.workflows.predict.objects import usual_diameter
from cellproof.workflows.train.views import THRESHOLDS

SCALES = (1.0, 1.5, 2.0)

PLACES = [objects.THRESHOLDS.index(threshold) for threshold in THRESHOLDS]


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
    rows = []
    for group in GROUPS:
        part = [one for one in every if group.holds(one.modality, one.diameter_px)]
        nuclei = sum(one.counts[0].n_objects for one in part)
        rows.append([group.title, len(part), nuclei, *(_scores(part, number) for number in range(len(SCALES)))])
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
    return pooled_ap([[one.counts[number].matches[place] for place in PLACES] for one in part])


if __name__ == "__main__":
    main()
