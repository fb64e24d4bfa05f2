"""StarDist, in an environment of its own (see ``install.sh``): trained, timed and scored by its own functions.

    FOLDER/stardist/bin/python benchmarks/peers/stardist_peer.py train DATA OUT --minutes 12
    FOLDER/stardist/bin/python benchmarks/peers/stardist_peer.py predict OUT IMAGES PREDICTIONS --rounds 1
    FOLDER/stardist/bin/python benchmarks/peers/stardist_peer.py match PREDICTIONS MASKS

Its network, loss, learning rate, patches, batch and normalization are its defaults (`Config2D()`); flips, quarter
turns, gain and shift are those of its example notebook, as are thresholds optimized on held-out images. Only the clock
ends the training, and an epoch is 25 steps, so that the best of them is found within the time. One thread, as ours;
minutes are of processor time, which other processes do not shorten.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from csbdeep.utils import normalize
from skimage.io import imread, imsave
from stardist import fill_label_holes
from stardist.matching import matching_dataset
from stardist.models import Config2D, StarDist2D

TAUS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9)
STEPS_PER_EPOCH = 25

THRESHOLDS_EVERY = 3
"""So many held-out images are passed over when thresholds are chosen, which takes minutes after a short training."""


def main() -> None:
    """Carry out one of the commands; what it found is printed as JSON on the last line."""
    arguments = _arguments()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    commands = {"train": train, "predict": predict, "match": match}
    print(json.dumps(commands[arguments.command](arguments)))


def train(arguments: argparse.Namespace) -> dict[str, object]:
    """Train for so many minutes of processor time, then optimize thresholds on the held-out images."""
    np.random.seed(arguments.seed)  # noqa: NPY002  # StarDist draws its patches from it
    random.seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)
    tf.random.set_seed(arguments.seed)
    learned, held_out = (_pairs(arguments.first / part) for part in ("train", "val"))
    config = Config2D(train_tensorboard=False, train_epochs=10_000, train_steps_per_epoch=STEPS_PER_EPOCH)
    model = StarDist2D(config, name=arguments.second.name, basedir=str(arguments.second.parent))
    model.prepare_for_training()
    clock = _Clock(60 * arguments.minutes)
    model.callbacks.append(clock)
    model.train(*learned, validation_data=held_out, augmenter=lambda image, mask: _augment(image, mask, rng))
    thresholds = model.optimize_thresholds(*(part[::THRESHOLDS_EVERY] for part in held_out))
    return {
        "steps": clock.steps,
        "cpu seconds": clock.seconds,
        "wall seconds": time.monotonic() - clock.started,
        "images": len(learned[0]),
        "thresholds": {name: float(value) for name, value in dict(thresholds).items()},
    }


class _Clock(tf.keras.callbacks.Callback):
    """Ends the training when its time is over."""

    def __init__(self, limit_s: float) -> None:
        super().__init__()
        self.limit_s, self.steps, self.seconds = limit_s, 0, 0.0

    def on_train_begin(self, logs: object = None) -> None:
        """Start the clock."""
        self.started, self.cpu = time.monotonic(), time.process_time()

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        """Look at the clock."""
        self.steps += 1
        self.seconds = time.process_time() - self.cpu
        self.model.stop_training = self.seconds > self.limit_s


def predict(arguments: argparse.Namespace) -> dict[str, object]:
    """Segment every image so many times; wall and processor seconds of each round, from pixels in memory to labels."""
    model = StarDist2D(None, name=arguments.first.name, basedir=str(arguments.first.parent))
    images = {path.stem: imread(path) for path in sorted(arguments.second.iterdir())}
    model.predict_instances(_normalized(next(iter(images.values()))))
    arguments.third.mkdir(parents=True, exist_ok=True)
    seconds = []
    for _ in range(arguments.rounds):
        started, cpu = time.perf_counter(), time.process_time()
        labels = {name: model.predict_instances(_normalized(image))[0] for name, image in images.items()}
        seconds.append((time.perf_counter() - started, time.process_time() - cpu))
    for name, values in labels.items():
        imsave(arguments.third / f"{name}.png", values.astype(np.uint16), check_contrast=False)
    return {"seconds": seconds, "pixels": int(sum(image.size for image in images.values())), "images": len(images)}


def match(arguments: argparse.Namespace) -> dict[str, object]:
    """Scores of predicted label images against masks, by StarDist's own matching."""
    names = sorted(path.stem for path in arguments.first.glob("*.png"))
    said = [imread(arguments.first / f"{name}.png") for name in names]
    true = [imread(arguments.second / f"{name}.png") for name in names]
    found = {str(tau): matching_dataset(true, said, thresh=tau, show_progress=False) for tau in TAUS}
    fields = ("accuracy", "precision", "recall", "f1", "panoptic_quality")
    return {tau: {field: float(getattr(one, field)) for field in fields} for tau, one in found.items()}


def _pairs(folder: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Normalized images and their masks, in the order of names."""
    paths = sorted((folder / "images").iterdir())
    masks = [fill_label_holes(imread(folder / "masks" / f"{path.stem}.png")) for path in paths]
    return [_normalized(imread(path)) for path in paths], masks


def _normalized(image: np.ndarray) -> np.ndarray:
    return normalize(image, 1, 99.8, axis=(0, 1))


def _augment(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Flips, quarter turns, gain and shift, as in StarDist's example."""
    turns, mirrored = rng.integers(4), rng.random() < 0.5
    image, mask = np.rot90(image, turns), np.rot90(mask, turns)
    if mirrored:
        image, mask = image[:, ::-1], mask[:, ::-1]
    return image * rng.uniform(0.6, 2) + rng.uniform(-0.2, 0.2), mask


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("train", "predict", "match"))
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("third", type=Path, nargs="?")
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
