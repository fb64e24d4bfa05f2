"""What ``cellproof train SET --time 8min`` reaches on held-out images of the sets with a class for every pixel.

- ``isbi2012``: 16 slices to learn from, the last 4 to score.
- ``cornea``: corneas 1 to 3 to learn from, cornea 4 to score.
- ``wbc``: 240 images to learn from, 60 to score; and the same 60 once more as another laboratory might have taken
  them: 2.5 times as large, stained otherwise, with another white balance and darker.

Results are kept in ``--work``; what is done is not trained again. About 10 minutes for each set on 2 idle cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile
from page import table, write_page
from skimage.transform import resize
from trial import Result, Results, Trial, add_trial_arguments, draw, records_of, score, train

from cellproof.data.index import Record
from cellproof.io import read_image, read_labels

SETS = ("isbi2012", "cornea", "wbc")
FOREIGN = "wbc, as from elsewhere"
MAGNIFICATION = 2.5

STAIN = np.array([[0.75, 0.15, 0.0], [0.25, 0.7, 0.1], [0.0, 0.25, 0.9]])
"""Optical densities of red, green, blue become mixtures of each other: a redder, paler stain."""

WHITE = np.array([0.97, 0.88, 0.8])
"""Light of an empty place on the slide: a yellowish lamp."""

GAMMA = 1.15


def main() -> None:
    """Train, segment and score set after set; the page is written after each."""
    arguments = _arguments()
    results = Results(arguments.work / "results.json")
    for name in arguments.set:
        folder = arguments.work / f"{name}-{arguments.start}-{arguments.time}-{arguments.seed}"
        trial = Trial(name, folder, arguments.seed, arguments.time, arguments.start)
        records, description = records_of(arguments.data / name)
        learned, held_out = _divide(name, records, arguments.seed)
        tests = [(trial, held_out)]
        if name == "wbc":
            tests.append((replace(trial, name=FOREIGN), _foreign(held_out, folder / "foreign")))
        for test, pictures in tests:
            if not results.has(test.name, test.start, test.seed, test.time):
                minutes = train(trial, learned, description)
                results.put(score(test, pictures, description, minutes=minutes, images=len(learned)))
                _write(results.all, arguments.seed)
    _write(results.all, arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_trial_arguments(parser, time="8min", work=Path("results/benchmarks/semantic"))
    parser.add_argument("--set", nargs="+", choices=SETS, default=list(SETS), help="which sets (default: all)")
    return parser.parse_args()


def _divide(name: str, records: Sequence[Record], seed: int) -> tuple[list[Record], list[Record]]:
    """Records to learn from and to score."""
    if name == "cornea":
        parts = [[r for r in records if (r.attributes["cornea"] == "4") is is_last] for is_last in (False, True)]
        return parts[0], parts[1]
    if name == "isbi2012":
        # Neighboring slices look alike; the last ones are furthest from most that are learned from.
        ordered = sorted(records, key=lambda record: record.name)
        return ordered[:16], ordered[16:]
    drawn = draw(records, len(records), by="", rng=np.random.default_rng(seed))
    return drawn[:240], drawn[240:]


def _foreign(records: Sequence[Record], folder: Path) -> list[Record]:
    """Copies as of another laboratory."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_foreign_copy(record, folder) for record in records]


def _foreign_copy(record: Record, folder: Path) -> Record:
    image, mask = read_image(record.image).pixels[0], read_labels(record.mask)
    shape = tuple(round(length * MAGNIFICATION) for length in mask.shape)
    light = resize(np.moveaxis(image, 0, 2) / 255, (*shape, 3), order=3, mode="edge")
    density = -np.log10(np.clip(light, 1 / 255, 1))
    foreign = (WHITE * 10.0 ** -(density @ STAIN.T)) ** GAMMA
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(shape, mask.shape, strict=True)
    )
    paths = folder / f"{record.name}_image.tif", folder / f"{record.name}_mask.tif"
    tifffile.imwrite(paths[0], np.rint(255 * np.clip(foreign, 0, 1)).astype(np.uint8), photometric="rgb")
    tifffile.imwrite(paths[1], mask[np.ix_(rows, columns)].astype(np.uint8))
    return replace(record, image=paths[0], mask=paths[1])


def _write(results: Sequence[Result], seed: int) -> None:
    """The page of everything known so far."""
    body = [
        "One training without a recipe for each set. Scores pooled over the held-out images; mean IoU also as mean "
        "over images, ± standard deviation from five images on. The last row scores the model of `wbc` on copies of "
        f"its held-out images with {MAGNIFICATION} times as many pixels, another stain, another white balance and less "
        "light: a stand-in for another laboratory, not one.",
        "",
        table(
            [
                "set",
                "start",
                "seed",
                "images",
                "scored",
                "minutes",
                "steps",
                "mean IoU",
                "over images",
                "IoU of classes",
            ],
            [_line(result) for result in sorted(results, key=lambda r: ((*SETS, FOREIGN).index(r.name), r.start))],
        ),
        "",
        "## Plans",
        "",
        *(f"- {r.name}, start {r.start}, {r.time}: {'; '.join(r.plan)}." for r in results if r.name != FOREIGN),
    ]
    write_page("semantic", "A class for every pixel", "\n".join(body), seed=seed)


def _line(result: Result) -> list[object]:
    mean = result.scores["mean IoU"]
    spread = "" if mean.sd is None else f" ± {mean.sd:.3f}"
    classes = ", ".join(
        f"{name.removeprefix('IoU ')} {score.pooled:.3f}"
        for name, score in result.scores.items()
        if name.startswith("IoU ")
    )
    return [
        result.name,
        result.start,
        result.seed,
        result.images,
        result.held_out,
        f"{result.minutes:.1f}",
        result.steps,
        mean.pooled,
        f"{mean.mean:.3f}{spread}",
        classes,
    ]


if __name__ == "__main__":
    main()
