"""Why learned preprocessing gains what it gains: small changes of one training, judged on validation images alone.

A part of ``kato2021.py``. Every training learns from the images of the study's first fold of simulated liver, with the
same steps; its 5 validation images say what came of it, no test image is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
from page import table

from cellproof.data.index import Record
from cellproof.io import read_json, write_json, write_text
from cellproof.metrics import pixel
from cellproof.recipe import format_recipe
from cellproof.simulate.liver import simulate_liver
from cellproof.workflows.predict import MODEL_FILE, Model, Predictor, load_model
from cellproof.workflows.reproduce.fold import Fold
from cellproof.workflows.reproduce.sets import simulation_plan, write_fold
from cellproof.workflows.train import STATE_FILE, TrainRequest, Watcher, run_training

SEEDS = (0, 1)

LONG = ("training.steps=600", "training.validate_every=60", "training.average_decay=0.97")
SLOW, SLOWER = "training.learning_rate=3e-3", "training.learning_rate=1e-3"
OFFSET = "model.options.filter_offset=1.0"
CONTRAST = ("model.options.gain=6.0", "model.options.middle=0.5")

TRIALS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "U-Net": ("U-Net", ()),
    "proposed": ("proposed", ()),
    "proposed, rate 0.003": ("proposed", (SLOW,)),
    "proposed, rate 0.001": ("proposed", (SLOWER,)),
    "proposed, filters start at 1": ("proposed", (OFFSET,)),
    "proposed, sigmoid(6 × (image + filter − 0.5))": ("proposed", CONTRAST),
    "proposed, both": ("proposed", (OFFSET, *CONTRAST)),
    "U-Net, 600 steps, rate 0.003": ("U-Net", (*LONG, SLOW)),
    "proposed, 600 steps, rate 0.003": ("proposed", (*LONG, SLOW)),
    "filters start at 1, 600 steps, rate 0.003": ("proposed", (*LONG, SLOW, OFFSET)),
}
"""Name of a trial → the study's entry that it changes, and how."""

_DEAD = 0.999
"""A filter that is 0 in so many pixels, as a fraction, has collapsed."""


class Trial(msgspec.Struct, frozen=True):
    """What came of one training.

    Attributes:
        steps: Optimizer steps.
        iou: Mean IoU over classes, pooled over validation images.
        parts: That of every output alone; empty where there is one only.
        collapsed: Filters that are 0 nearly everywhere; None without filters.
        contrast: Standard deviation of each translated image over that of the image; empty without.
    """

    steps: int
    iou: float
    parts: Sequence[float] = ()
    collapsed: int | None = None
    contrast: Sequence[float] = ()


def carry_out(fold: Fold, folder: Path) -> None:
    """Train and judge every trial that is not in the folder yet."""
    for seed in SEEDS:
        for name in TRIALS:
            place = _place(folder, name, seed)
            if (place / "trial.json").is_file():
                continue
            print(f"{name}, seed {seed}", flush=True)
            write_json(place / "trial.json", _judged(fold, _trained(fold, name, seed, place)))


def shown(folder: Path) -> list[str]:
    """A section of the page; nothing where no trial was carried out."""
    rows = []
    for name in TRIALS:
        files = [_place(folder, name, seed) / "trial.json" for seed in SEEDS]
        trials = [msgspec.convert(read_json(file), Trial) for file in files if file.is_file()]
        if trials:
            rows.append([name, trials[0].steps, *_cells(trials)])
    if not rows:
        return []
    return [
        "",
        "## What would help",
        "",
        f"Trainings on the first fold of liver with one change each, seeds {' and '.join(map(str, SEEDS))} separated "
        "by a comma; mean IoU of its validation images, which also chose the step that is kept. A collapsed filter is "
        f"0 in {_DEAD:.1%} of the pixels. Contrast is the standard deviation of each translated image over that of the "
        "image, least and most.",
        "",
        table(["training", "steps", "IoU mean", "best output alone", "collapsed filters", "contrast"], rows),
    ]


def collapsed_by_fold(folds: Sequence[Fold], entries: Sequence[str], *, images: int = 2) -> list[str]:
    """A table of how many filters have collapsed in each fold, counted on validation images."""
    rows = []
    for name in entries:
        found = []
        for fold in folds:
            path = fold.run(name) / MODEL_FILE
            if not path.is_file():
                found.append("–")
                continue
            model = load_model(path)
            network = model.networks()[0]
            seen = [
                network.explain(prepared(model, pixels))
                for pixels, _ in specimens(fold, fold.split.validation[:images])
            ]
            zero = [np.mean([maps[key] <= 0 for maps in seen]) for key in seen[0] if key.startswith("filter")]
            found.append(f"{sum(one > _DEAD for one in zero)} of {len(zero)}")
        rows.append([name, *found])
    return [
        "",
        f"Filters that have collapsed in each fold (0 in {_DEAD:.1%} of the pixels of {images} validation images):",
        "",
        table(["entry", *(fold.split.name for fold in folds)], rows),
    ]


def specimens(
    fold: Fold, records: Sequence[Record], *, photons: float | None = None, seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Raw pixels (C, H, W) and class maps of simulated liver, recorded at a dose; None for that of the study."""
    config = fold.found.config
    assert config.simulate is not None
    plan = simulation_plan(config.name, config.simulate, seed=seed)
    made = []
    for record in records:
        number = int(record.name.rpartition("-")[2])
        rng = np.random.default_rng([plan.seed, number])
        tissue = simulate_liver(rng, shape=(plan.size, plan.size), quality=plan.quality, photons=photons)
        made.append((np.moveaxis(tissue.image, -1, 0), tissue.class_map))
    return made


def prepared(model: Model, pixels: np.ndarray) -> torch.Tensor:
    """The image as the network takes it, (1, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(Predictor.of_model(model).prepare(pixels)))[None]


@torch.inference_mode()
def outputs(network: torch.nn.Module, image: torch.Tensor) -> dict[str, torch.Tensor]:
    """Logits of the whole and of every output that it is made of, whose filters were learned or not."""
    filters = torch.relu(network._maps(image))
    whole, *parts = network._outputs(image, filters)
    names = ["first network", *(f"translated {c}" for c in range(len(parts) - 1))]
    return {"all together": whole} | dict(zip(names, parts, strict=True))


def _place(folder: Path, name: str, seed: int) -> Path:
    words = "".join(letter if letter.isalnum() or letter == "." else "-" for letter in name)
    return folder / f"{words}-seed{seed}"


def _trained(fold: Fold, name: str, seed: int, place: Path) -> Path:
    """The trained model's file; a training that was stopped goes on."""
    entry, settings = TRIALS[name]
    data, recipe = place.parent / "data", place.parent / f"{place.name}.toml"
    write_fold(data, fold.split, fold.found.description)
    write_text(recipe, format_recipe(fold.study.plan.recipes[entry]))
    begun = (place / STATE_FILE).exists()
    request = TrainRequest(
        data=data,
        out=place,
        recipe=None if begun else str(recipe),
        seed=seed,
        settings=() if begun else settings,
        resume=begun,
        device="cpu",
    )
    run_training(request, Watcher())
    return place / MODEL_FILE


def _judged(fold: Fold, path: Path) -> Trial:
    model = load_model(path)
    network = model.networks()[0]
    counts: dict[str, pixel.Confusion] = {}
    seen: dict[str, list[np.ndarray]] = {}
    images = []
    for pixels, mask in specimens(fold, fold.split.validation):
        image = prepared(model, pixels)
        images.append(image.numpy())
        has_filters = hasattr(network, "ensemble_weights")
        with torch.inference_mode():
            said = outputs(network, image) if has_filters else {"all together": network(image)}
        for key, logits in said.items():
            one = pixel.confusion(logits.argmax(1)[0].numpy(), mask, classes=logits.shape[1])
            counts[key] = counts[key] + one if key in counts else one
        for key, values in network.explain(image).items() if has_filters else ():
            seen.setdefault(key, []).append(values)
    whole, *parts = (float(np.nanmean(pixel.iou(count))) for count in counts.values())
    steps = model.header.training.steps if model.header.training else 0
    if not seen:
        return Trial(steps, whole)
    zero = [float((np.stack(maps) <= 0).mean()) for key, maps in seen.items() if key.startswith("filter")]
    spread = [float(np.std(maps)) for key, maps in seen.items() if key.startswith("translated")]
    own = float(np.std(np.stack(images).mean(axis=2)))
    return Trial(steps, whole, parts, sum(one > _DEAD for one in zero), [one / own for one in spread])


def _cells(trials: Sequence[Trial]) -> list[str]:
    def over(values: Sequence[str]) -> str:
        return ", ".join(values)

    if any(one.collapsed is None for one in trials):
        return [over([f"{one.iou:.3f}" for one in trials]), "–", "–", "–"]
    return [
        over([f"{one.iou:.3f}" for one in trials]),
        over([f"{max(one.parts):.3f}" for one in trials]),
        over([f"{one.collapsed} of {len(one.contrast)}" for one in trials]),
        over([f"{min(one.contrast):.2f} to {max(one.contrast):.2f}" for one in trials]),
    ]
