"""Boundary tuning: milliseconds of every step, and what it is worth on predictions of a network.

Times are of drawn images of 520 × 704 pixels with few and with many cells. The obvious way, a loop over the pixels of
the edge that asks scikit-learn about each, runs in the same process; as it takes minutes, it is timed on pixels drawn
from them, and its decisions are checked to be the same. With ``--data`` the tuner also learns from training images of
nuclei and is scored on validation images, image by image.

About 2 minutes without data, 6 with the 276 images of dsb2018 up to 2 megapixels, on 2 idle cores.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from page import load_note, table, write_page
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from cellproof.data.description import read_description
from cellproof.data.index import Record, index
from cellproof.io import read_image, read_labels
from cellproof.metrics import pixel
from cellproof.metrics.bootstrap import bootstrap_interval
from cellproof.refine import apply_steps, learn_steps
from cellproof.refine._decisions import decide
from cellproof.refine._learning import METHODS, make_boosting, make_svm, standardized
from cellproof.refine._pixel_features import FEATURES, Place, pixel_features
from cellproof.refine.boundary_tuning import edge_band, tune_boundary
from cellproof.refine.closing import close
from cellproof.refine.roles import Sides
from cellproof.types import Prediction, Step
from cellproof.workflows.predict import Predictor, load_model

SHAPE = (520, 704)
CELLS = (20, 100, 400, 1600)
SIDES = Sides(inside=1, outside=0)
PAPERS = ("intensity", "sobel")
EVERY = tuple(FEATURES)
LOOPED = 400
"""Pixels that the loop is timed on."""
MOST_PIXELS = 2_000_000


@dataclass(frozen=True)
class Drawn:
    """A drawn image, the edge as a network could have it, and the true one."""

    image: np.ndarray
    class_map: np.ndarray
    reference: np.ndarray
    probability: np.ndarray


def main() -> None:
    """Time, score, write the page."""
    arguments = _arguments()
    body = [*_times(arguments.seed, arguments.repeats)]
    if arguments.data is not None:
        body += ["", *_worth(arguments.data, arguments.seed)]
    body += ["", load_note()]
    write_page("boundary_tuning", "Boundary tuning", "\n".join(body), seed=arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of annotated nuclei with train and val, e.g. …/dsb2018")
    parser.add_argument("--repeats", type=int, default=9, help="of each time, of which the median stands (default: 9)")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def draw(cells: int, seed: int) -> Drawn:
    """Bright discs that together cover a third of the image, blurred and noisy; the prediction is off by a pixel."""
    rng = np.random.default_rng([seed, cells])
    distance = np.full(SHAPE, np.inf)
    radius = np.sqrt(SHAPE[0] * SHAPE[1] / 3 / cells / np.pi)
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    for row, column in rng.uniform(0, SHAPE, (cells, 2)):
        top, left = max(0, int(row - radius - 4)), max(0, int(column - radius - 4))
        window = np.s_[top : int(row + radius + 5), left : int(column + radius + 5)]
        far = np.hypot(rows[window[0]] - row, columns[:, window[1]] - column) - radius
        distance[window] = np.minimum(distance[window], far)
    reference = (distance < 0).astype(np.uint8)
    moved = np.clip(distance, -9, 9) + ndimage.gaussian_filter(rng.normal(size=SHAPE), 4) * 12
    image = 0.25 + 0.4 * ndimage.gaussian_filter(reference.astype(float), 1) + rng.normal(0, 0.05, SHAPE)
    probability = 1 / (1 + np.exp(np.clip(moved, -9, 9)))
    return Drawn(
        image.astype(np.float32)[None], (moved < 0).astype(np.uint8), reference, probability.astype(np.float32)
    )


def rows_of(drawn: Drawn, names: Sequence[str]) -> np.ndarray:
    """Features of all pixels of the band, as the step computes them."""
    band = edge_band(drawn.class_map, SIDES, 1)
    rows, columns = np.nonzero(band)
    return pixel_features(names, Place(drawn.image, drawn.probability, band, rows, columns))


def fitted(method: str, features: np.ndarray, inside: np.ndarray, seed: int) -> tuple[Any, Callable[..., np.ndarray]]:
    """scikit-learn's model, and how it wants its rows."""
    scaled, mean, sd = standardized(features)
    if method == "boosting":
        return make_boosting(seed).fit(features, inside), lambda rows: rows
    model = {"svm": make_svm, "bayes": GaussianNB, "logistic": LogisticRegression}[method]()
    return model.fit(scaled, inside), lambda rows: (rows - mean) / sd


def median_ms(run: Callable[[], object], repeats: int) -> float:
    """Median of the milliseconds of the processor that a call takes; whoever else works on the machine adds few."""
    took = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        took.append(1000 * (time.process_time() - start))
    return statistics.median(took)


def _times(seed: int, repeats: int) -> list[str]:
    """Tables of milliseconds."""
    taught = [draw(cells, seed + 1) for cells in CELLS]
    numbers, models = {}, {}
    for names in (PAPERS, EVERY):
        features = np.concatenate([rows_of(one, names) for one in taught])
        inside = np.concatenate([one.reference[edge_band(one.class_map, SIDES, 1) != 0] == 1 for one in taught])
        some = np.random.default_rng(seed).permutation(len(inside))[:10_000]
        for method in METHODS:
            numbers[method, names] = METHODS[method](features[some], inside[some], seed)
            models[method, names] = fitted(method, features[some], inside[some], seed)
    images = {cells: draw(cells, seed) for cells in CELLS}
    return [
        f"## Milliseconds for an image of {SHAPE[0]} × {SHAPE[1]} pixels, one thread",
        "",
        f"Time of the processor, medians of {repeats}: the machine was shared, and a thread that is alone "
        "takes no longer by the clock. Each tuning is from class map to class map, features among it.",
        "",
        _step_table(images, numbers, repeats),
        "",
        "## Beside the obvious loop",
        "",
        f"{CELLS[2]} cells, in the same run. *Loop*: scikit-learn asked about one pixel after the other, timed on "
        f"{LOOPED} pixels drawn from the edge and multiplied; features are not counted. *At once*: scikit-learn asked "
        "about all pixels of the edge in one call, features not counted. Decisions are the step's on every pixel.",
        "",
        _loop_table(images[CELLS[2]], numbers, models, repeats, seed),
    ]


def _step_table(images: dict[int, Drawn], numbers: dict[Any, Any], repeats: int) -> str:
    def tuned(one: Drawn, method: str, names: Sequence[str]) -> Callable[[], object]:
        return lambda: tune_boundary(
            one.class_map, one.image, one.probability, learned=numbers[method, names], sides=SIDES, features=names
        )

    lines: list[list[object]] = [["pixels at the edge"]]
    lines[0] += [int(np.count_nonzero(edge_band(one.class_map, SIDES, 1))) for one in images.values()]
    for radius_px in (2, 5):
        lines.append([f"closing, radius {radius_px} px"])
        for one in images.values():
            closing = partial(close, one.class_map, inside=1, outside=0, radius_px=radius_px)
            lines[-1].append(round(median_ms(closing, repeats), 1))
    for names, said in ((PAPERS, "intensity and Sobel"), (EVERY, f"all {len(EVERY)} features")):
        for method in METHODS:
            times = [round(median_ms(tuned(one, method, names), repeats), 1) for one in images.values()]
            lines.append([f"tuning, {method}, {said}", *times])
    return table(["step", *(f"{cells} cells" for cells in images)], lines)


def _loop_table(one: Drawn, numbers: dict[Any, Any], models: dict[Any, Any], repeats: int, seed: int) -> str:
    lines = []
    for names, said in ((PAPERS, "intensity and Sobel"), (EVERY, "all features")):
        features = rows_of(one, names)
        drawn = np.random.default_rng(seed).permutation(len(features))[:LOOPED]
        for method in METHODS:
            model, scaled = models[method, names]
            ours = decide(numbers[method, names], features) > 0
            start = time.process_time()
            looped = [bool(model.predict(scaled(features[k : k + 1]))[0]) for k in drawn]
            loop = 1000 * (time.process_time() - start) / len(drawn) * len(features)
            together = median_ms(lambda m=model, s=scaled, f=features: m.predict(s(f)), 3)
            assert (model.predict(scaled(features)) == ours).all()
            assert (np.array(looped) == ours[drawn]).all()
            step = median_ms(
                lambda n=numbers[method, names], f=names: tune_boundary(
                    one.class_map, one.image, one.probability, learned=n, sides=SIDES, features=f
                ),
                repeats,
            )
            lines.append([f"{method}, {said}", round(step, 1), round(loop), round(loop / step), round(together, 1)])
    return table(["tuning", "step, ms", "loop, ms", "times faster", "at once, ms"], lines)


def _worth(data: Path, seed: int) -> list[str]:
    """What tuning is worth on predictions of the shipped model."""
    description = read_description(data)
    assert description is not None
    records = index(data, description)
    model = load_model("nuclei")
    predictor = Predictor.of_model(model)

    def predicted(record: Record) -> tuple[Prediction, np.ndarray] | None:
        pixels = read_image(record.image).pixels[0]
        if pixels[0].size > MOST_PIXELS:
            return None
        image = predictor.prepare(pixels)
        probabilities = predictor.predict(image, scale=1.0).probabilities
        class_map = (probabilities[1] > 0.5).astype(np.uint8)
        reference = (read_labels(record.mask) > 0).astype(np.uint8)
        return Prediction(probabilities, class_map, ("background", "nucleus"), image=image), reference

    rng = np.random.default_rng(seed)
    train = [record for record in records if record.split == "train"]
    learned_from = [train[k] for k in rng.permutation(len(train))[:200]]
    taught = [one for one in map(predicted, learned_from) if one is not None]
    scored = [one for one in map(predicted, [r for r in records if r.split == "val"]) if one is not None]
    lines = []
    before = [_iou(prediction.class_map, reference) for prediction, reference in scored]
    for names in (PAPERS, EVERY):
        for method in METHODS:
            options = {"method": method, "features": "+".join(names)}
            (step,), scores = learn_steps([Step("boundary_tuning", options)], lambda: iter(taught), seed=seed)
            for row, said in (
                ([step], "tuning"),
                ([Step("closing"), step, Step("closing")], "closing, tuning, closing"),
            ):
                after = [_iou(apply_steps(one, row).class_map, reference) for one, reference in scored]
                gain = np.array(after) - before
                pairs = np.column_stack([gain, np.ones_like(gain)])[~np.isnan(gain)]
                rng = np.random.default_rng(seed)
                low, high = bootstrap_interval(pairs, lambda sums: float(sums[0] / sums[1]), rng=rng)
                lines.append(
                    [
                        f"{said}: {method}, {'intensity and Sobel' if names == PAPERS else 'all features'}",
                        f"{scores['boundary_tuning/accuracy']:.3f} ± {scores['boundary_tuning/accuracy_sd']:.3f}",
                        f"{scores['boundary_tuning/accuracy_before']:.3f}",
                        f"{np.nanmean(after):.4f}",
                        f"{np.nanmean(gain):+.4f} ({low:+.4f} to {high:+.4f})",
                    ]
                )
    return [
        "## What it is worth where the network is good",
        "",
        f"Foreground of the model nuclei; {len(taught)} images of `train`, which the model learned from as well, "
        f"teach the tuner; {len(scored)} of `val` are scored. Accuracy: on the pixels of a fifth of the training "
        "images, held out ten times; before: the network's on all pixels drawn. IoU of the foreground, mean over "
        f"images; without any step {np.nanmean(before):.4f}. Differences are paired, with 95 % intervals by bootstrap "
        "over images.",
        "",
        table(["step", "accuracy", "before", "IoU", "difference"], lines),
    ]


def _iou(class_map: np.ndarray, reference: np.ndarray) -> float:
    return float(pixel.iou(pixel.confusion(class_map, reference, classes=2))[1])


if __name__ == "__main__":
    main()
