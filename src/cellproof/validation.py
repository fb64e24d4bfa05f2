"""Wiring: how good a network is on held-out samples, and what validation can choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from torch import Tensor, nn

from .config import Recipe
from .data.normalization import fit_channels
from .difficulty.calibration import fit_temperature
from .inference.activate import Maps
from .inference.predict import predict
from .inference.torch_engine import torch_engines
from .instances.decode import decode
from .metrics import objects, pixel
from .metrics.protocols import foreground_confusion
from .pipeline import VIEWED_PIXELS
from .types import IGNORE, Heads, InstanceOptions, Sample

CALIBRATED_PIXELS = 200_000
LARGEST_SIDE_PX = 1024


@dataclass(frozen=True)
class Tuned:
    """What validation chose.

    Attributes:
        options: How objects are made.
        temperature: Of the softmax.
        metrics: Of the chosen options on the validation samples, name → value.
    """

    options: InstanceOptions
    temperature: float
    metrics: Mapping[str, float]


class Validator:
    """Score of a network on fixed samples; called by the training loop.

    Samples are cut to their middle where they are large, and left out once ``most_pixels`` are reached, so
    that a validation stays short against the training between two of them.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        *,
        heads: Heads,
        in_channels: int,
        options: InstanceOptions,
        most_pixels: int,
    ) -> None:
        self.samples = limited(samples, most_pixels=most_pixels)
        self.heads = heads
        self.in_channels = in_channels
        self.options = options

    def __call__(self, module: nn.Module) -> tuple[float, dict[str, float]]:
        """Mean AP over 0.5 … 0.95 with instances, mean IoU without; and all metrics."""
        maps = [
            predict_sample(module, sample, heads=self.heads, in_channels=self.in_channels) for sample in self.samples
        ]
        metrics = measure(self.samples, maps, heads=self.heads, options=self.options)
        return metrics["map" if self.heads.has_instances else "mean_iou"], metrics


def limited(samples: Sequence[Sample], *, most_pixels: int) -> list[Sample]:
    """Samples cut to at most `LARGEST_SIDE_PX`, and the first of them up to ``most_pixels``; at least one."""
    cuts = [_middle(sample) for sample in samples]
    return [cuts[position] for position in _within(cuts, most_pixels)]


def predict_sample(
    module: nn.Module,
    sample: Sample,
    *,
    heads: Heads,
    in_channels: int,
    temperature: float = 1.0,
    tta: bool = False,
) -> Maps:
    """Maps of one sample at its own scale."""
    return predict(
        torch_engines([module], device=next(module.parameters()).device.type),
        fit_channels(sample.image, in_channels),
        heads=heads,
        stride_px=int(module.stride),  # type: ignore[arg-type]
        halo_px=int(module.receptive_field_px),  # type: ignore[arg-type]
        temperature=temperature,
        tta=tta,
    )


def measure(
    samples: Sequence[Sample], maps: Sequence[Maps], *, heads: Heads, options: InstanceOptions
) -> dict[str, float]:
    """Metrics pooled over samples; object metrics only with instances."""
    if heads.has_instances:
        return measure_objects(samples, maps, options)
    counts = [
        pixel.confusion(m.probabilities.argmax(axis=0), sample.class_map, classes=heads.classes)
        for sample, m in zip(samples, maps, strict=True)
    ]
    total = sum(counts[1:], start=counts[0])
    metrics = {f"iou_{k}": float(value) for k, value in enumerate(pixel.iou(total))}
    return {
        "mean_iou": float(np.nanmean(pixel.iou(total))),
        "mean_dice": float(np.nanmean(pixel.dice(total))),
        "accuracy": pixel.accuracy(total),
        **metrics,
    }


def measure_objects(samples: Sequence[Sample], maps: Sequence[Maps], options: InstanceOptions) -> dict[str, float]:
    """AP at every threshold and their mean, and foreground Dice, pooled over samples."""
    totals = [objects.ObjectCounts(0, 0, 0, 0.0)] * len(objects.THRESHOLDS)
    foreground = pixel.Confusion(np.zeros((2, 2), np.int64), np.zeros(2, np.int64))
    for sample, m in zip(samples, maps, strict=True):
        assert sample.instances is not None
        ignored = sample.class_map == IGNORE
        labels = decode(m.probabilities, boundary=m.boundary, distance=m.distance, flows=m.flows, options=options)
        pairs = objects.overlap(labels, sample.instances, ignored=ignored)
        totals = [
            total + objects.count_matches(pairs, threshold)
            for total, threshold in zip(totals, objects.THRESHOLDS, strict=True)
        ]
        foreground += foreground_confusion(labels, sample.instances, ignored=ignored)
    precision = [objects.average_precision(total) for total in totals]
    return {
        "map": float(np.mean(precision)),
        "ap50": precision[0],
        "ap75": precision[5],
        "ap90": precision[8],
        "dice": float(pixel.dice(foreground)[1]),
    }


def tune(
    members: Sequence[Mapping[str, Tensor]],
    held_out: Sequence[Sequence[Sample]],
    *,
    recipe: Recipe,
    heads: Heads,
    module: nn.Module,
    groups: Sequence[Sequence[str]],
    most_pixels: int,
    views: bool,
) -> Tuned:
    """Choose what validation can: how objects are made, and the temperature.

    Each member sees only the samples that were held out from it.

    Args:
        members: Weights of each fold's network.
        held_out: Samples of each fold.
        recipe: Gives the options to start from.
        heads: Of the network.
        module: A network of the members' shape, for their weights to be put in.
        groups: A name for each held-out sample, by which metrics are reported too; "" for none.
        most_pixels: Of held-out samples that are looked at.
        views: Whether small samples are looked at in eight orientations, as small pictures are when they are segmented.
    """
    cuts = [_middle(sample) for fold in held_out for sample in fold]
    kept = _within(cuts, most_pixels)
    owners = [number for number, fold in enumerate(held_out) for _ in fold]
    every_name = [name for fold_groups in groups for name in fold_groups]
    samples, names = [cuts[position] for position in kept], [every_name[position] for position in kept]
    maps: list[Maps] = []
    for number, member in enumerate(members):
        module.load_state_dict(dict(member))
        module.eval()
        own = [cuts[position] for position in kept if owners[position] == number]
        maps += [
            predict_sample(
                module,
                cut,
                heads=heads,
                in_channels=recipe.data.in_channels,
                tta=views and cut.class_map.size <= VIEWED_PIXELS,
            )
            for cut in own
        ]
    options = tune_instances(samples, maps, recipe.instance, heads) if heads.has_instances else recipe.instance
    metrics = measure(samples, maps, heads=heads, options=options)
    for name in sorted(set(names) - {""}):
        chosen = [i for i, group in enumerate(names) if group == name]
        part = measure([samples[i] for i in chosen], [maps[i] for i in chosen], heads=heads, options=options)
        metrics |= {f"{name}/{metric}": value for metric, value in part.items()}
    return Tuned(options, calibrate(samples, maps), metrics)


def tune_instances(
    samples: Sequence[Sample], maps: Sequence[Maps], options: InstanceOptions, heads: Heads
) -> InstanceOptions:
    """Options of the best mean AP, one at a time: method, then threshold, then the method's own."""
    methods = [name for name, there in (("flows", heads.flows), ("watershed", heads.distance)) if there]
    choices: list[tuple[str, Sequence[object]]] = [
        ("method", methods or ["components"]),
        ("foreground_threshold", (0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)),
        ("seed_threshold", (0.03, 0.05, 0.1, 0.15, 0.2)),
        ("boundary_weight", (0.0, 0.25, 0.5, 1.0)),
        ("smallest_area_px", (5, 10, 20, 30, 45)),
    ]
    for name, values in choices:
        if name in ("seed_threshold", "boundary_weight") and options.method != "watershed":
            continue
        candidates = [msgspec.structs.replace(options, **{name: value}) for value in values]
        scores = [measure_objects(samples, maps, candidate)["map"] for candidate in candidates]
        options = candidates[int(np.nanargmax(scores)) if not np.isnan(scores).all() else 0]
    return options


def calibrate(samples: Sequence[Sample], maps: Sequence[Maps]) -> float:
    """Temperature that makes the class probabilities most likely, from a regular grid of pixels."""
    total = sum(sample.class_map.size for sample in samples)
    step = max(1, int(np.sqrt(total / CALIBRATED_PIXELS)))
    logs, classes = [], []
    for sample, m in zip(samples, maps, strict=True):
        seen = sample.class_map[::step, ::step]
        annotated = seen != IGNORE
        probabilities = m.probabilities[:, ::step, ::step][:, annotated]
        # A softmax takes logits up to a constant, and log-probabilities are such logits.
        logs.append(np.log(np.maximum(probabilities, 1e-7)))
        classes.append(seen[annotated])
    return fit_temperature(np.concatenate(logs, axis=1), np.concatenate(classes))


def _within(samples: Sequence[Sample], most_pixels: int) -> list[int]:
    """Positions of samples that together have at most ``most_pixels``, those too large passed over; at least one."""
    kept: list[int] = []
    left_px = most_pixels
    for position, sample in enumerate(samples):
        if not kept or sample.class_map.size <= left_px:
            kept.append(position)
            left_px -= sample.class_map.size
    return kept


def _middle(sample: Sample) -> Sample:
    """The sample, or its middle where it is larger than `LARGEST_SIDE_PX`."""
    rows, columns = (
        slice(max(0, (length - LARGEST_SIDE_PX) // 2), max(0, (length - LARGEST_SIDE_PX) // 2) + LARGEST_SIDE_PX)
        for length in sample.class_map.shape
    )
    instances = None if sample.instances is None else sample.instances[rows, columns]
    return Sample(sample.image[:, rows, columns], sample.class_map[rows, columns], instances)
