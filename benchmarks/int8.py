"""Let processors run a model in 8-bit integers, where that costs no accuracy.

``python benchmarks/int8.py DATA/dsb2018 --model nuclei.safetensors`` measures on training images, as many of each kind,
what the network's convolutions are given; scores the model's objects on val with f32, bf16 and int8; times the network
in turns; and, where int8 loses at most half a point of mean AP, writes the ranges into the file. The page says all of
it. Two minutes on 2 idle cores.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from page import load_note, page_of, table, write_page

from cellproof.data.description import read_description
from cellproof.data.index import Record, index
from cellproof.inference.engine import Precision
from cellproof.inference.openvino_engine import int8_ranges
from cellproof.io import read_image, read_labels, read_model, write_model
from cellproof.metrics.objects import THRESHOLDS, ObjectCounts, average_precision, count_matches, overlap
from cellproof.types import RoundingRecord
from cellproof.workflows.predict import EngineChoice, Model, Predictor, Timings, load_model, predict_objects
from cellproof.workflows.predict.load import build_members

LARGEST_LOSS = 0.005
PATCH_PX = 256
PRECISIONS: tuple[Precision, ...] = ("f32", "bf16", "int8")


@dataclass
class Scores:
    """Counts of one precision at each threshold, by kind of image."""

    counts: dict[str, list[ObjectCounts]] = field(default_factory=dict)

    def add(self, kind: str, counts: Sequence[ObjectCounts]) -> None:
        """Count one more image."""
        for name in (kind, "all"):
            before = self.counts.setdefault(name, [ObjectCounts(0, 0, 0, 0.0)] * len(counts))
            self.counts[name] = [one + more for one, more in zip(before, counts, strict=True)]

    def mean_ap(self, kind: str = "all") -> float:
        """Mean of AP over IoU 0.5…0.95."""
        return statistics.fmean(average_precision(one) for one in self.counts[kind])


def main() -> None:
    """Measure ranges, score, time, decide, write."""
    arguments = _arguments()
    description = read_description(arguments.data)
    assert description is not None
    records = list(index(arguments.data, description))
    training = _drawn([one for one in records if one.split == "train"], arguments.images, seed=arguments.seed)
    header, tensors = read_model(arguments.model)
    plain = load_model(arguments.model, EngineChoice("openvino", "f32", "cpu", arguments.threads))
    shape = (header.in_channels, 16 * header.stride_px, 16 * header.stride_px)
    ranges = tuple(
        int8_ranges(module, _patches(plain, training), example_shape=shape) for module in build_members(arguments.model)
    )
    rounding = RoundingRecord(ranges, images=len(training))
    candidate = arguments.model.with_suffix(".int8.safetensors")
    write_model(candidate, msgspec.structs.replace(header, rounding=rounding), tensors)
    try:
        models = {
            precision: load_model(candidate, EngineChoice("openvino", precision, "cpu", arguments.threads))
            for precision in PRECISIONS
        }
        scores = _scored(models, [one for one in records if one.split == "val"][:: arguments.every])
        seconds = _timed(models, rounds=arguments.rounds)
    finally:
        candidate.unlink()
    loss = scores["f32"].mean_ap() - scores["int8"].mean_ap()
    is_kept = loss <= LARGEST_LOSS
    metrics = {f"mean_ap_{name}": round(one.mean_ap(), 4) for name, one in scores.items()}
    kept = msgspec.structs.replace(rounding, metrics=metrics) if is_kept else None
    write_model(arguments.model, msgspec.structs.replace(header, rounding=kept), tensors)
    said = (
        f"int8 loses {100 * loss:.2f} points of mean AP, {'at most' if is_kept else 'more than'} the allowed "
        f"{100 * LARGEST_LOSS:.1f}: `--precision auto` {'takes' if is_kept else 'does not take'} it."
    )
    body = [
        f"Model {header.name}; ranges from {len(training)} training images of dsb2018, as many of each kind as there "
        f"are up to {arguments.images}; scores on its val images, objects matched as in StarDist. {said}",
        "",
        _table(scores, seconds),
        "",
        "Network alone: warm, one image of 512 × 704 pixels, one thread, processor seconds, in turns.",
        "",
        load_note(),
    ]
    write_page(page_of("int8", header.name), "8-bit integers", "\n".join(body), seed=arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the set dsb2018")
    parser.add_argument("--model", type=Path, required=True, help="model file; changed where int8 is accurate")
    parser.add_argument("--images", type=int, default=12, help="training images of each kind (default: 12)")
    parser.add_argument("--every", type=int, default=1, help="score every so many images only, to try the script")
    parser.add_argument("--rounds", type=int, default=9, help="timed runs (default: 9)")
    parser.add_argument("--threads", type=int, default=1, help="of the network (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of training images")
    return parser.parse_args()


def _drawn(records: Sequence[Record], count: int, *, seed: int) -> list[Record]:
    rng = np.random.default_rng(seed)
    kinds: dict[str, list[Record]] = {}
    for record in records:
        kinds.setdefault(record.attributes["modality"], []).append(record)
    return [own[place] for own in kinds.values() for place in rng.permutation(len(own))[:count]]


def _patches(model: Model, records: Sequence[Record]) -> Iterator[np.ndarray]:
    """Upper left parts of the images as the network sees them."""
    predictor, stride = Predictor.of_model(model), model.header.stride_px
    for record in records:
        image = predictor.prepare(read_image(record.image).pixels[0])[:, :PATCH_PX, :PATCH_PX]
        rows, columns = (length // stride * stride for length in image.shape[1:])
        yield image[:, :rows, :columns]


def _scored(models: Mapping[Precision, Model], records: Sequence[Record]) -> dict[Precision, Scores]:
    scores = {name: Scores() for name in models}
    for record in records:
        pixels, reference = read_image(record.image).pixels[0], np.squeeze(read_labels(record.mask))
        for name, model in models.items():
            found = predict_objects(model, Predictor.of_model(model).prepare(pixels), timings=Timings())
            pairs = overlap(found.labels, reference)
            scores[name].add(record.attributes["modality"], [count_matches(pairs, one) for one in THRESHOLDS])
    return scores


def _timed(models: Mapping[Precision, Model], *, rounds: int) -> dict[Precision, float]:
    """Median processor seconds for a megapixel."""
    batch = np.random.default_rng(0).random((1, next(iter(models.values())).header.in_channels, 512, 704), np.float32)
    times: dict[Precision, list[float]] = {name: [] for name in models}
    for _ in range(1 + rounds):
        for name, model in models.items():
            start = time.process_time()
            model.engines[0](batch)
            times[name].append(time.process_time() - start)
    return {name: statistics.median(own[1:]) * 1e6 / batch[0, 0].size for name, own in times.items()}


def _table(scores: Mapping[Precision, Scores], seconds: Mapping[Precision, float]) -> str:
    kinds = list(scores["f32"].counts)
    headings = ["", "s for a Mpixel", "× bf16", *(f"{kind}: mean AP (0.5, 0.75, 0.9)" for kind in kinds)]
    rows = []
    for name, own in scores.items():
        cells = []
        for kind in kinds:
            single = [100 * average_precision(own.counts[kind][place]) for place in (0, 5, 8)]
            cells.append(f"{100 * own.mean_ap(kind):.2f} ({', '.join(f'{one:.1f}' for one in single)})")
        rows.append([name, f"{seconds[name]:.3f}", f"{seconds['bf16'] / seconds[name]:.2f}", *cells])
    return table(headings, rows)


if __name__ == "__main__":
    main()
