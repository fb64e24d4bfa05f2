"""How good a network is on held-out samples, and what validation can choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from torch import nn

from ...inference.activate import Maps
from ...instances.decode import decode
from ...metrics import objects, pixel
from ...metrics.protocols import foreground_confusion
from ...report.curves import WATCHED
from ...types import IGNORE, Heads, InstanceOptions, Sample, Unknown
from ..predict import Predictor

LARGEST_SIDE_PX = 1024


class Validator:
    """Score of a network on fixed samples; called by the training loop.

    Samples are cut to their middle where they are large, and left out once ``most_pixels`` are reached, so
    that a validation stays short against the training between two of them. A network that is also to work without
    its condition (``withheld``) is scored with it and without, and the mean of both counts.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        *,
        heads: Heads,
        in_channels: int,
        options: InstanceOptions,
        most_pixels: int,
        precision: str = "auto",
        conditions: tuple[str, ...] = (),
        unknown: Unknown = "zeros",
        withheld: bool = False,
    ) -> None:
        self.samples = limited(samples, most_pixels=most_pixels)
        self.heads = heads
        self.in_channels = in_channels
        self.options = options
        self.precision = precision
        self.conditions = conditions
        self.unknown: Unknown = unknown
        self.withheld = withheld and bool(conditions)

    def __call__(self, module: nn.Module) -> tuple[float, dict[str, float]]:
        """Mean AP over 0.5 … 0.95 with instances, mean IoU without; and all metrics.

        Beside them stand the numbers that a network with a ``watched() -> {name: value}`` gives of itself.

        Raises:
            FloatingPointError: The network's outputs are not numbers.
        """
        predictor = Predictor.of_module(
            module,
            heads=self.heads,
            in_channels=self.in_channels,
            precision=self.precision,
            conditions=self.conditions,
            unknown=self.unknown,
        )
        metrics = self._measured(predictor, self.samples)
        watched: Callable[[], Mapping[str, float]] = getattr(module, "watched", dict)
        counts = "map" if self.heads.has_instances else "mean_iou"
        score = metrics[counts]
        if self.withheld:
            without = self._measured(predictor, [replace(sample, condition="") for sample in self.samples])[counts]
            score = (score + without) / 2
            metrics |= {f"{counts}_withheld": without}
        return score, metrics | {f"{WATCHED}{name}": value for name, value in watched().items()}

    def _measured(self, predictor: Predictor, samples: Sequence[Sample]) -> dict[str, float]:
        maps = [predictor.predict_sample(sample) for sample in samples]
        check_outputs(maps)
        return measure(samples, maps, heads=self.heads, options=self.options)


def check_outputs(maps: Sequence[Maps]) -> None:
    """Refuse outputs that are not numbers, which training steps may leave behind without a loss that shows it.

    Raises:
        FloatingPointError: Saying on how many images, and what to do.
    """
    broken = sum(not all(np.isfinite(one).all() for one in (own.probabilities, *own.fields.values())) for own in maps)
    if broken:
        raise FloatingPointError(
            f"the network's outputs are no numbers on {broken} of the {len(maps)} held-out images; lower the learning "
            "rate, or train in f32 (training.precision)"
        )


def limited(samples: Sequence[Sample], *, most_pixels: int) -> list[Sample]:
    """Samples cut to at most `LARGEST_SIDE_PX`, and the first of them up to ``most_pixels``; at least one."""
    cuts = [middle(sample) for sample in samples]
    return [cuts[position] for position in within(cuts, most_pixels)]


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
        labels = decode(m.probabilities, m.fields, options=options)
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


def within(samples: Sequence[Sample], most_pixels: int) -> list[int]:
    """Positions of samples that together have at most ``most_pixels``, those too large passed over; at least one."""
    kept: list[int] = []
    left_px = most_pixels
    for position, sample in enumerate(samples):
        if not kept or sample.class_map.size <= left_px:
            kept.append(position)
            left_px -= sample.class_map.size
    return kept


def middle(sample: Sample) -> Sample:
    """The sample, or its middle where it is larger than `LARGEST_SIDE_PX`."""
    rows, columns = (
        slice(max(0, (length - LARGEST_SIDE_PX) // 2), max(0, (length - LARGEST_SIDE_PX) // 2) + LARGEST_SIDE_PX)
        for length in sample.class_map.shape
    )
    instances = None if sample.instances is None else sample.instances[rows, columns]
    return replace(
        sample, image=sample.image[:, rows, columns], class_map=sample.class_map[rows, columns], instances=instances
    )
