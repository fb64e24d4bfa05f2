"""Images to judge trust on: annotated ones, degraded copies of them, and images that show no nuclei of a known kind.

What the model says of each is kept on disk, so that everything after it can be done again in seconds.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from scipy import ndimage

from cellproof.data.description import read_description
from cellproof.data.index import index
from cellproof.io import read_image, read_labels, read_model
from cellproof.workflows.predict import Model, Predictor, Timings, predict_objects

Item = TypeVar("Item")

LARGEST_SIDE_PX = 1024
"""Foreign images are cut to this, so that none takes minutes."""

SCIKIT_IMAGES = (
    "astronaut",
    "brick",
    "camera",
    "cell",
    "chelsea",
    "clock_motion",
    "coffee",
    "coins",
    "color",
    "grass",
    "gravel",
    "horse",
    "hubble_deep_field",
    "ihc",
    "logo",
    "microaneurysms",
    "moon",
    "motorcycle_left",
    "page",
    "phantom",
    "retina",
    "rocket",
    "text",
    "chessboard_GRAY",
)
"""Images of scikit-image; none shows nuclei in fluorescence, bright field or an H&E stain."""

FOREIGN_SETS = {"isbi2012": 10, "cornea": 16, "glas": 16, "wbc": 30, "cho_dic": 8, "usiigaci": 8}
"""Sets of other kinds of images, and how many of each are taken, evenly spaced."""

TRAINING_SAMPLE = {"fluorescence": 100, "histology": 73, "brightfield": 11}
"""Training images of each kind that tell what the kind looks like."""

TRAINING_COPIES = ("blur 2", "noise 0.12", "saturation 3", "inversion", "shrinking 2")
"""Degraded copies, of which each has two: a bad image of a kind is of that kind."""


@dataclass(frozen=True)
class Case:
    """One image to segment.

    Attributes:
        name: Of the image it comes from; copies share it.
        part: "train", "val", "kromp2020", or the set of a foreign image.
        kind: Kind of training image; empty for others.
        copy: How it was degraded; "as is" if not.
        load: Gives raw pixels (C, H, W), object ids (H, W) or None, and pixels without annotation (H, W) or None.
    """

    name: str
    part: str
    kind: str
    copy: str
    load: Callable[[], tuple[np.ndarray, np.ndarray | None, np.ndarray | None]]

    @property
    def key(self) -> str:
        """File name of what the model says."""
        return "-".join((self.part, self.name, self.copy.replace(" ", "_"))) + ".npz"


@dataclass(frozen=True)
class Answer:
    """What a model says of a case.

    Attributes:
        case: The case.
        image: (C, H, W) float32, normalized; one channel where all are equal.
        foreground: (H, W) float32 probability.
        fields: Name → (channels, H, W) float32, the network's other outputs.
        deep: (F,) float32 of the network's coarsest features, or None.
        labels: (H, W) int32.
        scale: At which the network saw the image.
        reference: (H, W) object ids or None.
        ignored: (H, W) bool or None.
    """

    case: Case
    image: np.ndarray
    foreground: np.ndarray
    fields: dict[str, np.ndarray]
    deep: np.ndarray | None
    labels: np.ndarray
    scale: float
    reference: np.ndarray | None
    ignored: np.ndarray | None


def _blur(pixels: np.ndarray, sd_px: float) -> np.ndarray:
    return ndimage.gaussian_filter(pixels, (0, sd_px, sd_px))


def _noise(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    low, high = np.percentile(pixels, (0.1, 99.9))
    return pixels + rng.normal(0, strength * max(float(high - low), 1.0), pixels.shape)


def _saturate(pixels: np.ndarray, factor: float) -> np.ndarray:
    low, high = np.percentile(pixels, (1, 99.8))
    return np.minimum(pixels, low + (high - low) / factor)


def _invert(pixels: np.ndarray) -> np.ndarray:
    return pixels.max() + pixels.min() - pixels


DEGRADED = ("blur 1.5", "blur 3", "noise 0.08", "noise 0.2", "saturation 2", "saturation 4", "inversion", "shrinking 2")
"""Degraded copies that verdicts are fitted on and tried with."""


def degrade(pixels: np.ndarray, copy: str, *, seed: int) -> np.ndarray:
    """A degraded copy, float32, of raw pixels (C, H, W).

    Args:
        pixels: Raw intensities.
        copy: "as is" or one of `DEGRADED`: blur in px, noise as a fraction of the range, saturation at a fraction of
            the range, inversion, or shrinking by a factor.
        seed: Of the noise.
    """
    values = pixels.astype(np.float32)
    what, _, amount = copy.partition(" ")
    if what == "blur":
        return _blur(values, float(amount))
    if what == "noise":
        return _noise(values, float(amount), np.random.default_rng(seed)).astype(np.float32)
    if what == "saturation":
        return _saturate(values, float(amount))
    if what == "inversion":
        return _invert(values)
    if what == "shrinking":
        factor = int(amount)
        return _blur(values, factor / 3)[:, ::factor, ::factor]
    return values


def annotated(folder: Path, split: str, part: str, copies: tuple[str, ...]) -> Iterator[Case]:
    """Cases of an annotated set, the copies of an image after one another."""
    description = read_description(folder)
    assert description is not None
    for record in index(folder, description):
        if record.split != split:
            continue
        for copy in copies:

            def load(record=record, copy=copy):  # type: ignore[no-untyped-def]
                pixels = read_image(record.image).pixels[0]
                reference = read_labels(record.mask)
                ignored = None if description.ignore is None else reference == description.ignore
                if copy.startswith("shrinking"):
                    step = int(copy.split()[1])
                    reference = reference[::step, ::step]
                    ignored = None if ignored is None else ignored[::step, ::step]
                return degrade(pixels, copy, seed=zlib.crc32(record.name.encode())), reference, ignored

            yield Case(record.name, part, record.attributes.get("modality", ""), copy, load)


def training_sample(folder: Path) -> Iterator[Case]:
    """Some training images of each kind, evenly spaced, as they are and with two degraded copies of each."""
    cases = annotated(folder, "train", "train", ("as is", *TRAINING_COPIES))
    kinds: dict[str, dict[str, list[Case]]] = {}
    for case in cases:
        kinds.setdefault(case.kind, {}).setdefault(case.name, []).append(case)
    for kind, images in kinds.items():
        for number, name in enumerate(spaced(list(images), TRAINING_SAMPLE.get(kind, 50))):
            own, *copies = images[name]
            yield own
            yield copies[number % len(copies)]
            yield copies[(number + 2) % len(copies)]


def spaced(items: Sequence[Item], count: int) -> Sequence[Item]:
    """So many of them, evenly spaced."""
    if len(items) <= count:
        return items
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, count)]


def foreign(data: Path) -> Iterator[Case]:
    """Images that no training image resembles."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    for name in SCIKIT_IMAGES:
        for path in sorted(folder.glob(f"{name}.*")):
            yield Case(name, "scikit-image", "", "as is", lambda path=path: (_cut(path), None, None))
    for part, count in FOREIGN_SETS.items():
        paths = sorted((data / part / "train" / "images").iterdir())
        cases = [
            Case(path.stem, part, "", "as is", lambda path=path: (_cut(path), None, None))  # type: ignore[misc]
            for path in paths
        ]
        yield from spaced(cases, count)


def _cut(path: Path) -> np.ndarray:
    pixels = read_image(path).pixels[0]
    pixels = pixels[:3] if len(pixels) != 2 else pixels[:1]
    rows, columns = (slice(max(0, (n - LARGEST_SIDE_PX) // 2), None) for n in pixels.shape[1:])
    return pixels[:, rows, columns][:, :LARGEST_SIDE_PX, :LARGEST_SIDE_PX]


@cache
def weights_of(path: Path) -> str:
    """Names what a model file predicts, whatever it says of how far that can be trusted: 12 hexadecimal digits."""
    header, tensors = read_model(path)
    said = (header.architecture, header.instance, header.normalization, header.scale, header.temperature)
    found = hashlib.sha256(msgspec.json.encode(said))
    for name in sorted(tensors):
        found.update(name.encode() + tensors[name].tobytes())
    return found.hexdigest()[:12]


def key_of(model: Model) -> str:
    """Names what a model predicts in the arithmetic that runs it."""
    return f"{weights_of(model.path)}-{model.engines[0].precision}"


def answer(model: Model, case: Case, cache: Path, *, tta: bool = False) -> Answer:
    """What the model says of a case, from the cache if it is there."""
    path = cache / f"{key_of(model)}-{'eight' if tta else 'one'}" / case.key
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels, reference, ignored = case.load()
        image = Predictor.of_model(model).prepare(pixels)
        view = predict_objects(model, image, tta=tta, timings=Timings())
        maps = view.maps
        same = bool((image == image[:1]).all())
        values = {
            "image": (image[:1] if same else image).astype(np.float16),
            "foreground": (1 - maps.probabilities[0]).astype(np.float16),
            **{f"field_{name}": stack.astype(np.float16) for name, stack in maps.fields.items()},
            "labels": view.labels,
            "scale": np.array(view.scale),
        }
        if maps.deep is not None:
            values["deep"] = maps.deep
        if reference is not None:
            values["reference"] = reference.astype(np.int32)
        if ignored is not None:
            values["ignored"] = ignored
        temporary = path.with_suffix(".part.npz")
        np.savez(temporary, **values)
        temporary.replace(path)
    with np.load(path) as stored:
        fields = [name for name in stored if name.startswith("field_")]
        return Answer(
            case,
            image=stored["image"].astype(np.float32),
            foreground=stored["foreground"].astype(np.float32),
            fields={name.removeprefix("field_"): stored[name].astype(np.float32) for name in fields},
            deep=stored.get("deep"),
            labels=stored["labels"],
            scale=float(stored["scale"]),
            reference=stored.get("reference"),
            ignored=stored.get("ignored"),
        )
