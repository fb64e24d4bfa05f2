"""Costs in corona2022: post-processing beside the network and a loop over pixels, and the index of the set."""

from __future__ import annotations

import tempfile
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from boundary_tuning import LOOPED, SIDES, median_ms
from page import table

from cellproof.data.description import read_description
from cellproof.data.index import Record, index
from cellproof.exchange import sartorius
from cellproof.io import read_image, read_labels
from cellproof.io.png import write_png
from cellproof.refine import apply_steps, learn_steps
from cellproof.refine._learning import make_svm, standardized
from cellproof.refine._pixel_features import Place, pixel_features
from cellproof.refine.boundary_tuning import edge_band
from cellproof.types import Prediction, Step
from cellproof.workflows.predict import Predictor, load_model

IMAGES, CELLS = 600, 70_000
REPEATS = 5


def index_note() -> str:
    """Seconds and memory of indexing a table as large as the competition's."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        _write_competition(source)
        start = time.process_time()
        found = sartorius.index(source)
        seconds = time.process_time() - start
        megabytes = (source / "train.csv").stat().st_size / 2**20
        tracemalloc.start()
        sartorius.index(source)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        start = time.process_time()
        cells = sum(1 for _ in found[-1].masks())
        last = 1000 * (time.process_time() - start)
    return (
        f"{len(found)} images with {CELLS} cells, a table of {megabytes:.0f} MiB: {seconds:.1f} s of the processor to "
        f"index, {peak:.0f} MiB at most; the {cells} masks of one image {last:.0f} ms."
    )


def _write_competition(source: Path) -> None:
    """A table of the competition's layout: cells of 25 runs along rows, images in turn."""
    rng = np.random.default_rng(0)
    names = [f"{number:012x}" for number in range(IMAGES)]
    (source / "train").mkdir()
    for name in names:
        write_png(source / "train" / f"{name}.png", np.zeros((1, 1), np.uint8))
    with (source / "train.csv").open("w", encoding="utf-8") as file:
        file.write("id,annotation,width,height,cell_type,plate_time,sample_date,sample_id,elapsed_timedelta\n")
        for number in range(CELLS):
            start = int(rng.integers(1, 490 * 704))
            runs = " ".join(f"{start + 704 * row} {12 + row % 3}" for row in range(25))
            file.write(f"{names[number % IMAGES]},{runs},704,520,cort,11h30m00s,2019-06-16,x,0 days 11:30:00\n")


def steps_table(studies: Sequence[tuple[str, Path]]) -> str:
    """Milliseconds of the network and of every step on held-out images, by set; and of a loop over pixels.

    Args:
        studies: Name of a set, and the folder of its first fold.
    """
    lines = []
    for name, fold in studies:
        model = next(iter(sorted((fold / "Hot").glob("model-*/model.safetensors"))), None)
        if model is not None:
            lines.append([name, *_step_times(model, fold / "data")])
    return table(
        [
            "set, mean over its held-out images",
            "pixels",
            "at the edge",
            "network",
            "closing",
            "tuning",
            "closing again",
            "all three",
            "loop",
            "times faster",
        ],
        lines,
    )


def _step_times(model: Path, data: Path) -> list[str]:
    """A line of the table: what a network's predictions take, learned from those of its training images."""
    predictor = Predictor.of_model(load_model(model))
    description = read_description(data)
    assert description is not None
    records = index(data, description)

    def predicted(part: str) -> Iterator[tuple[Record, Prediction, np.ndarray]]:
        for record in records:
            if record.split == part:
                image = predictor.prepare(read_image(record.image).pixels[0])
                found = predictor.predict(image, scale=1.0, condition=record.attributes["condition"]).probabilities
                shown = Prediction(found, found.argmax(axis=0).astype(np.uint8), ("background", "cell"), image=image)
                yield record, shown, (read_labels(record.mask) > 0).astype(np.uint8)

    taught = [(prediction, reference) for _, prediction, reference in predicted("train")]
    (tuning,), _ = learn_steps([Step("boundary_tuning")], lambda: iter(taught), seed=0)
    closing = Step("closing")
    svm_ms = _one_pixel_ms(taught)
    each = []
    for record, prediction, _ in predicted("val"):
        image, told = prediction.image, record.attributes["condition"]
        assert image is not None
        closed = apply_steps(prediction, [closing])
        tuned = apply_steps(closed, [tuning])
        edge = int(np.count_nonzero(edge_band(closed.class_map, SIDES, 1)))
        network = median_ms(lambda i=image, t=told: predictor.predict(i, scale=1.0, condition=t), REPEATS)
        steps = [
            median_ms(lambda p=before, s=step: apply_steps(p, [s]), REPEATS)
            for before, step in ((prediction, closing), (closed, tuning), (tuned, closing))
        ]
        each.append((prediction.class_map.size, edge, network, *steps, sum(steps), edge * svm_ms))
    pixels, edge, *times, loop = np.mean(each, axis=0)
    faster = f"{loop / times[2]:.0f}"
    return [f"{pixels:.0f}", f"{edge:.0f}", *(f"{one:.1f}" for one in times), f"{loop:.0f}", faster]


def _one_pixel_ms(taught: Sequence[tuple[Prediction, np.ndarray]]) -> float:
    """Milliseconds of scikit-learn for a pixel alone, by the machine that learned from as many pixels as the step."""
    rng = np.random.default_rng(0)
    features, inside = [], []
    for prediction, reference in taught:
        band = edge_band(prediction.class_map, SIDES, 1)
        places = np.flatnonzero(band)
        rows, columns = np.divmod(rng.permutation(places)[:50], band.shape[1])
        probability = prediction.probabilities[1]
        features.append(
            pixel_features(("intensity", "sobel"), Place(prediction.image, probability, band, rows, columns))
        )
        inside.append(reference[rows, columns] == 1)
    scaled, _, _ = standardized(np.concatenate(features))
    model = make_svm().fit(scaled, np.concatenate(inside))
    start = time.process_time()
    for place in rng.integers(len(scaled), size=LOOPED):
        model.predict(scaled[place : place + 1])
    return 1000 * (time.process_time() - start) / LOOPED
