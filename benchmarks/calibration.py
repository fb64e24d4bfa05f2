"""Whether the confidence of a nuclei model can be believed: of pixels, of objects, and of whole images.

One view, which is the default of ``cellproof segment``, on ``dsb2018`` val (whose images chose thresholds and
temperature, but no weights) and ``kromp2020`` train, of another laboratory. Beside these: eight views of every fourth
image; the same images under haze or with the camera's offset raised; and simulated nuclei, on which 12 % of the
training patches were drawn.
What the model says of an image stays in ``--work``, so that the same command again goes on where it stopped.

About 2 minutes on 2 idle cores.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from page import table, write_page
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata, spearmanr

from cellproof.data.description import read_description
from cellproof.data.index import index
from cellproof.difficulty.calibration import calibration_errors, fit_temperature
from cellproof.difficulty.quality import DOUBTFUL_CONFIDENCE
from cellproof.io import read_image, read_labels
from cellproof.metrics import objects
from cellproof.simulate import load as load_kind
from cellproof.workflows.predict.load import Model, load_model
from cellproof.workflows.segment.plane import segment_plane

SAMPLED = 20_000
"""Pixels of an image that enter the calibration, drawn by seed."""

HAZE, HAZE_PX = 0.3, 20.0
"""Part of the light that is spread over the surroundings, and how far."""

OFFSET = 0.2
"""Of the range of intensities, added to every pixel: what normalization should undo."""

SIMULATED = 12
"""Images of each kind and quality."""

FEWEST = 5
"""Images or objects below which no correlation is given."""

AS_IS, SOME, EIGHT = "as is, one view", "every fourth, one view", "every fourth, eight views"


@dataclass(frozen=True)
class Case:
    """One image to ask about.

    Attributes:
        name: Of the image; unlike that of any other of its kind.
        kind: Column of the tables.
        state: How it is shown.
        load: Gives raw pixels (C, H, W), object ids (H, W), and pixels without annotation (H, W).
    """

    name: str
    kind: str
    state: str
    load: Callable[[], tuple[np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Trust:
    """What one image says of the confidence of its result.

    Attributes:
        probability: (2, n) of background and foreground at sampled pixels.
        there: (n,) whether the reference has foreground there.
        wrong_label: (n,) whether foreground or background of the labels is wrong.
        difficulty: (n,) of the same pixels.
        object_confidence: (m,) of the objects found.
        object_iou: (m,) with the reference object that each overlaps best.
        dices: (2,) what the result promises, and what it keeps.
    """

    probability: np.ndarray
    there: np.ndarray
    wrong_label: np.ndarray
    difficulty: np.ndarray
    object_confidence: np.ndarray
    object_iou: np.ndarray
    dices: np.ndarray


def main() -> None:
    """Segment, compare, write the page."""
    arguments = _arguments()
    model = load_model(arguments.model)
    header = model.header
    found: dict[tuple[str, str], list[Trust]] = {}
    for case in _cases(arguments):
        found.setdefault((case.state, case.kind), []).append(_kept(model, case, arguments))
    as_is = {kind: trusts for (state, kind), trusts in found.items() if state == AS_IS and kind in _KINDS}
    body = [
        f"Model {header.name} ({header.training.steps} steps on {header.training.images} images of "
        f"{header.training.data}), temperature {header.temperature:.3f}. Of each image {SAMPLED} annotated pixels, "
        "drawn by seed, or all where there are fewer. A pixel is right where its likeliest class is. The temperature "
        "was fitted on the images of `dsb2018` val, with one view; `kromp2020` took no part in anything.",
        "",
        "## Pixels",
        "",
        f"Expected calibration errors in 15 bins. Unsure: confidence below 0.99. T: the temperature by which logits "
        f"would have to be divided once more; 1 where none is better. Haze: {HAZE:.0%} of the light spread over "
        f"{HAZE_PX:.0f} px. Offset: {OFFSET:.0%} of the range of intensities added to every pixel.",
        "",
        _pixel_table(found),
        "",
        "## Objects and images, one view",
        "",
        "An object's IoU is that with the reference object it overlaps best, or 0. The two images of bright field are "
        "no more than an example.",
        "",
        _trust_table(as_is),
        "",
        "How many objects of each confidence are right, that is, overlap a reference object with an IoU of 0.5 or "
        "more. Were confidence a probability of being right, the fraction would lie in the bounds of its line.",
        "",
        _object_reliability([trust for trusts in as_is.values() for trust in trusts]),
    ]
    write_page("calibration", f"Confidence of `{header.name}`", "\n".join(body), seed=arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds the sets dsb2018 and kromp2020")
    parser.add_argument("--model", default="nuclei", help="name or file (default: nuclei)")
    parser.add_argument("--work", type=Path, default=Path("results/benchmarks/calibration"), help="what is kept")
    parser.add_argument("--images", type=int, help="only the first so many of each set, to try the script")
    parser.add_argument("--seed", type=int, default=0, help="of the pixels drawn and the simulated images")
    return parser.parse_args()


_KINDS = ("fluorescence", "histology", "brightfield", "kromp2020")


def _cases(arguments: argparse.Namespace) -> Iterator[Case]:
    states = {
        AS_IS: _unchanged,
        "haze, one view": _hazy,
        "offset, one view": _raised,
        SOME: _unchanged,
        EIGHT: _unchanged,
    }
    for state, change in states.items():
        for name, split, by in (("dsb2018", "val", "modality"), ("kromp2020", "train", "")):
            if name == "kromp2020" and state in (SOME, EIGHT):
                continue
            folder = arguments.data / name
            description = read_description(folder)
            assert description is not None
            records = [one for one in index(folder, description) if one.split == split][: arguments.images]
            for record in records[:: 4 if state in (SOME, EIGHT) else 1]:
                load = partial(_read, record.image, record.mask, description.ignore, change)
                yield Case(record.name, record.attributes.get(by) or name, state, load)
    for kind in ("nuclei", "histology"):
        for quality in load_kind(kind).qualities:
            for number in range(min(SIMULATED, arguments.images or SIMULATED)):
                draw = partial(_drawn, kind, quality, arguments.seed, number)
                yield Case(str(number), f"simulated {kind}, {quality}", AS_IS, draw)


def _read(
    image: Path, mask: Path, ignore: int | None, change: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    reference = read_labels(mask)
    ignored = np.zeros(reference.shape, bool) if ignore is None else reference == ignore
    return change(read_image(image).pixels[0]), reference, ignored


def _drawn(kind: str, quality: str, seed: int, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    picture = load_kind(kind).draw(np.random.default_rng((seed, number)), 384, quality)  # type: ignore[arg-type]
    pixels = picture.image[np.newaxis] if picture.image.ndim == 2 else np.moveaxis(picture.image, 2, 0)
    return pixels, picture.mask, np.zeros(picture.mask.shape, bool)


def _unchanged(pixels: np.ndarray) -> np.ndarray:
    return pixels


def _hazy(pixels: np.ndarray) -> np.ndarray:
    light = pixels.astype(np.float32)
    return (1 - HAZE) * light + HAZE * gaussian_filter(light, (0, HAZE_PX, HAZE_PX))


def _raised(pixels: np.ndarray) -> np.ndarray:
    light = pixels.astype(np.float32)
    return light + OFFSET * float(np.ptp(light))


def _kept(model: Model, case: Case, arguments: argparse.Namespace) -> Trust:
    """What the model says of a case, asked once."""
    file = arguments.work / f"{case.state}-{case.kind}-{case.name}.npz".replace(" ", "_").replace("/", "_")
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        trust = _trust(model, case, rng=np.random.default_rng(arguments.seed))
        unfinished = file.with_suffix(".unfinished.npz")
        np.savez(unfinished, *astuple(trust))
        unfinished.rename(file)
    with np.load(file, allow_pickle=False) as stored:
        return Trust(*(stored[name] for name in stored.files))


def _trust(model: Model, case: Case, *, rng: np.random.Generator) -> Trust:
    pixels, reference, ignored = case.load()
    result = segment_plane(model, pixels, tta=case.state == EIGHT)
    annotated = np.flatnonzero(~ignored)
    seen = rng.choice(annotated, min(SAMPLED, len(annotated)), replace=False)
    found, there = (result.labels > 0) & ~ignored, (reference > 0) & ~ignored
    pairs = objects.overlap(result.labels, reference, ignored=ignored)
    iou = np.zeros(len(pairs.prediction_ids))
    np.maximum.at(iou, pairs.pairs[:, 1], pairs.iou)
    total = int(found.sum() + there.sum())
    dice = 2 * int((found & there).sum()) / total if total else math.nan
    return Trust(
        probability=np.clip(result.probabilities.reshape(2, -1)[:, seen], 0, 1),
        there=there.ravel()[seen],
        wrong_label=found.ravel()[seen] != there.ravel()[seen],
        difficulty=result.difficulty.ravel()[seen],
        object_confidence=np.asarray(result.objects["confidence"])[pairs.prediction_ids - 1],
        object_iou=iou,
        dices=np.array([result.quality.expected_dice, dice]),
    )


def _pixel_table(found: dict[tuple[str, str], list[Trust]]) -> str:
    lines: list[list[object]] = []
    for (state, kind), trusts in found.items():
        probability = np.concatenate([trust.probability for trust in trusts], axis=1)
        there = np.concatenate([trust.there for trust in trusts])
        foreground = probability[1] > probability[0]
        errors = calibration_errors(probability.max(axis=0), foreground == there, foreground)
        further = fit_temperature(np.log(np.maximum(probability, 1e-7)), there.astype(np.int64))
        numbers = [errors.everywhere, errors.foreground, errors.unsure, errors.unsure_fraction]
        lines.append([kind, state, len(trusts), *numbers, further])
    heads = ["images of", "shown", "images", "all pixels", "predicted foreground", "unsure", "fraction unsure", "T"]
    return table(heads, lines)


def _trust_table(columns: dict[str, list[Trust]]) -> str:
    lines = [
        ["Spearman, object confidence with its IoU", *map(_object_correlation, columns.values())],
        ["area under ROC, difficulty finds wrong foreground", *map(_error_finding, columns.values())],
        ["Spearman, expected Dice with Dice over images", *map(_dice_correlation, columns.values())],
        ["mean of expected Dice − Dice", *map(_dice_bias, columns.values())],
        ["images", *map(len, columns.values())],
        ["objects found", *(sum(len(t.object_iou) for t in trusts) for trusts in columns.values())],
    ]
    return table(["", *columns], lines)


def _object_reliability(trusts: Sequence[Trust]) -> str:
    """Table of objects by confidence, all sets together."""
    confidence = np.concatenate([trust.object_confidence for trust in trusts])
    is_right = np.concatenate([trust.object_iou for trust in trusts]) >= 0.5
    bounds = [0.0, 0.7, DOUBTFUL_CONFIDENCE, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0]
    lines: list[list[object]] = []
    for low, high in pairwise(bounds):
        own = (confidence >= low) & ((confidence < high) | (high == 1))
        fraction = float(is_right[own].mean()) if own.any() else math.nan
        wrong_below = int((~is_right & (confidence < high)).sum())
        lines.append([f"{low:.2f}–{high:.2f}", int(own.sum()), fraction, f"{wrong_below} of {int((~is_right).sum())}"])
    return table(["confidence", "objects", "fraction right", "wrong ones up to here"], lines)


def _object_correlation(trusts: Sequence[Trust]) -> float:
    return _spearman(
        np.concatenate([trust.object_confidence for trust in trusts]),
        np.concatenate([trust.object_iou for trust in trusts]),
    )


def _error_finding(trusts: Sequence[Trust]) -> float:
    return _area_under_roc(
        np.concatenate([trust.difficulty for trust in trusts]), np.concatenate([trust.wrong_label for trust in trusts])
    )


def _dice_correlation(trusts: Sequence[Trust]) -> float:
    return _spearman(*np.array([trust.dices for trust in trusts]).T)


def _dice_bias(trusts: Sequence[Trust]) -> float:
    return float(np.nanmean([trust.dices[0] - trust.dices[1] for trust in trusts]))


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Rank correlation where both are known; NaN for fewer than five, or where one is constant."""
    known = ~np.isnan(first) & ~np.isnan(second)
    first, second = first[known], second[known]
    if len(first) < FEWEST or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(spearmanr(first, second).statistic)


def _area_under_roc(score: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a positive scores above a negative, ties half; NaN where one kind is missing."""
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    if not n_positive or not n_negative:
        return math.nan
    ranks = float(rankdata(score)[positive].sum())
    return (ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


if __name__ == "__main__":
    main()
