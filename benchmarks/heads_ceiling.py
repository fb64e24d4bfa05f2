"""What each way of telling objects apart keeps of perfect maps: reference → targets of its outputs → decoder → labels.

No network can do better with an output than its targets do: what is lost here is lost by the representation or the
decoder. The foreground is the reference's; where polygons decide on edges, they alone make the objects.

About a minute for 20 images.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from heads import _choose, _scores
from page import load_note, table, write_page

from cellproof.data.description import read_description
from cellproof.data.index import index
from cellproof.data.targets import find_head, make_targets
from cellproof.instances.decode import decode
from cellproof.io import read_labels
from cellproof.metrics.protocols import ObjectImage, count_objects
from cellproof.types import Heads, InstanceOptions, Sample

GROUPS = ((0.0, 14.0), (14.0, 28.0), (28.0, np.inf))
"""Median diameters of an image's objects, in pixels, by which images are grouped."""


@dataclass(frozen=True)
class Way:
    """A representation and its decoder."""

    name: str
    heads: Heads
    options: InstanceOptions


def main() -> None:
    """Encode and decode every reference in every way, write the page."""
    arguments = _arguments()
    description = read_description(arguments.data)
    assert description is not None
    masks = [read_labels(record.mask) for record in _choose(index(arguments.data, description), arguments)]
    sizes = [_median_diameter(mask) for mask in masks]
    rows: list[list[object]] = []
    for way in _ways():
        found = [_there_and_back(mask, way) for mask in masks]
        megapixels = sum(mask.size for mask in masks) / 1e6
        encode, back = (sum(one[place] for one in found) / megapixels for place in (1, 2))
        for low, high in ((0.0, np.inf), *GROUPS):
            part = [counts for (counts, _, _), size in zip(found, sizes, strict=True) if low <= size < high]
            if part:
                rows.append([way.name, _group(low, high), len(part), *_numbers(part), encode, back])
    scores = ["AP@0.5", "AP@0.75", "AP@0.9", "mean AP", "merges / splits / misses / false"]
    body = [
        f"{arguments.only or 'All'} images of {arguments.split} of {description.name}: {len(masks)} images, "
        f"{sum(len(np.unique(mask)) - 1 for mask in masks)} objects.",
        "",
        table(["way", "median diameter", "images", *scores, "encode, s/Mpixel", "decode, s/Mpixel"], rows),
        "",
        load_note(),
    ]
    write_page("heads_ceiling", "What outputs can hold of perfect maps", "\n".join(body), seed=arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of annotated objects, e.g. …/dsb2018")
    parser.add_argument("--split", default="val", help="split to look at (default: val)")
    parser.add_argument("--by", default="modality", help="column of the data's table to group by (default: modality)")
    parser.add_argument("--only", default="", help="keep to images with this value in that column")
    parser.add_argument("--images", type=int, help="only this many")
    parser.add_argument("--seed", type=int, default=0, help="of that draw")
    return parser.parse_args()


def _ways() -> list[Way]:
    def way(name: str, outputs: Sequence[str], method: str, *, rays: int = 32, **options: str) -> Way:
        heads = [find_head(output, {"rays": rays} if output == "star_convex" else {}) for output in outputs]
        return Way(name, Heads(2, tuple(heads)), InstanceOptions(method=method, options=options))

    return [
        way("components of the foreground", ["boundary"], "components"),
        way("watershed of height and boundary", ["boundary", "distance"], "watershed"),
        way("flows to their sinks", ["flows"], "flows"),
        *(
            way(f"polygons of {n} rays", ["star_convex"], "star_convex", rays=n, edges="polygon")
            for n in (8, 16, 32, 64)
        ),
        way("polygons of 32 rays, edges of the foreground", ["star_convex"], "star_convex", edges="foreground"),
    ]


def _there_and_back(mask: np.ndarray, way: Way) -> tuple[ObjectImage, float, float]:
    """Counts, and seconds of both directions."""
    inside = (mask > 0).astype(np.uint8)
    start = time.process_time()
    fields = make_targets(Sample(inside[None].astype(np.float32), inside, mask.astype(np.int32)), way.heads).fields
    encoded = time.process_time()
    slices = {name: slice(own.start - 2, own.stop - 2) for name, own in way.heads.slices.items()}
    probabilities = np.stack([1.0 - inside, inside]).astype(np.float32)
    labels = decode(probabilities, {name: fields[own] for name, own in slices.items()}, options=way.options)
    return count_objects(labels, mask), encoded - start, time.process_time() - encoded


def _numbers(counts: Sequence[ObjectImage]) -> list[object]:
    mistakes = sum((one.mistakes for one in counts[1:]), start=counts[0].mistakes)
    errors = f"{mistakes.merges} / {mistakes.splits} / {mistakes.misses} / {mistakes.false}"
    return [*_scores(counts).values(), errors]


def _group(low: float, high: float) -> str:
    if low == 0 and high == np.inf:
        return "all"
    return f"below {high:g} px" if low == 0 else f"from {low:g} px" if high == np.inf else f"{low:g} to {high:g} px"


def _median_diameter(mask: np.ndarray) -> float:
    areas = np.bincount(np.unique(mask, return_inverse=True)[1].ravel())[1:]
    return float(np.sqrt(4 * np.median(areas) / np.pi)) if areas.size else 0.0


if __name__ == "__main__":
    main()
