"""What a network's maps tell of its own result: other decodings of the same maps, and evidence from them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec
import numpy as np

from ...difficulty.appearance import image_statistics
from ...difficulty.image_trust import image_features, with_image
from ...difficulty.object_trust import agreement, object_features
from ...difficulty.quality import expected_dice
from ...difficulty.verdict import judge
from ...inference.activate import Maps
from ...instances import needs, with_option
from ...instances.decode import decode_all
from ...instances.hull import solidity
from ...types import InstanceOptions, Quality, TrustRecord

THRESHOLD_STEP = 0.2
"""The rivals' foreground threshold lies so far below and above that of the model."""

SEED_FACTOR = 3.0
"""The rivals' seed threshold is so many times smaller and larger than that of the model."""

CANDIDATE_THRESHOLD = 0.15
"""From this foreground probability on a region is a candidate for an object."""


@dataclass(frozen=True)
class Evidence:
    """For and against a result, without a reference.

    Attributes:
        objects: Feature → (n,) values, see `object_features` and `with_image`.
        image: Feature → value, see `image_features`.
        statistics: What the image looks like, see `image_statistics`.
        expected_dice: Of the foreground; NaN where nothing is foreground.
        count: Objects found.
        deep: (F,) features of the network; None where it gives none.
    """

    objects: Mapping[str, np.ndarray]
    image: Mapping[str, float]
    statistics: Mapping[str, float]
    expected_dice: float
    count: int
    deep: np.ndarray | None = None

    def judge(self, trust: TrustRecord, *, mean_confidence: float) -> tuple[Quality, np.ndarray]:
        """The verdict, and (n,) each object's probability of being right; see `difficulty.verdict.judge`."""
        return judge(
            trust,
            objects=self.objects,
            image=self.image,
            statistics=self.statistics,
            expected_dice=self.expected_dice,
            mean_confidence=mean_confidence,
            deep=self.deep,
        )


def gather(maps: Maps, labels: np.ndarray, image: np.ndarray, *, options: InstanceOptions, scale: float) -> Evidence:
    """Evidence on the objects that were made of a network's maps.

    Args:
        maps: Of a network that tells objects apart.
        labels: (H, W) objects 1…n that ``options`` make of them.
        image: (C, H, W) normalized.
        options: How objects were made.
        scale: At which the network saw the image.
    """
    foreground = 1 - maps.probabilities[0]
    # Of the two halves, which take about as long, one is about the rivals and the other about the result alone.
    with ThreadPoolExecutor(1) as beside:
        alone = beside.submit(_of_result, maps, labels, foreground, colored(image), scale=scale)
        rivals = other_labels(maps, options)
        candidates = rivals.pop("candidates")
        agreements = {f"agrees_{name}": agreement(labels, rival) for name, rival in rivals.items()}
        dice = expected_dice(foreground, labels > 0)
        of_image = image_features(labels, foreground, dice=dice, candidates=candidates, rivals=rivals)
        objects, statistics = alone.result()
    return Evidence(
        objects=with_image(objects | agreements, of_image),
        image=of_image,
        statistics=statistics,
        expected_dice=dice,
        count=int(labels.max(initial=0)),
        deep=maps.deep,
    )


def _of_result(
    maps: Maps, labels: np.ndarray, foreground: np.ndarray, image: np.ndarray, *, scale: float
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Evidence on the objects for which no rival is needed, and what the image looks like."""
    fields = {name: maps.fields[name][0] for name in ("boundary", "distance") if name in maps.fields}
    solid = solidity(labels)
    objects = object_features(
        labels,
        foreground,
        boundary=fields.get("boundary"),
        height=fields.get("distance"),
        solidity=solid,
        image=image,
        scale=scale,
    )
    return objects, image_statistics(image, labels, foreground, solidity=solid, scale=scale)


def other_labels(maps: Maps, options: InstanceOptions) -> dict[str, np.ndarray]:
    """The same maps decoded otherwise: by thresholds, seeds and decoder; and ``candidates`` at a low threshold."""
    threshold = options.foreground_threshold
    others = {
        "candidates": with_option(options, "foreground_threshold", min(CANDIDATE_THRESHOLD, threshold / 2)),
        "lower": with_option(options, "foreground_threshold", max(threshold - THRESHOLD_STEP, threshold / 2)),
        "higher": with_option(options, "foreground_threshold", min(threshold + THRESHOLD_STEP, (1 + threshold) / 2)),
    }
    if options.method == "watershed":
        seed = options.seed_threshold
        others["finer"] = with_option(options, "seed_threshold", seed / SEED_FACTOR)
        others["coarser"] = with_option(options, "seed_threshold", seed * SEED_FACTOR)
    other = "flows" if options.method == "watershed" else "watershed"
    if set(needs(other)) <= set(maps.fields):
        others["decoder"] = with_option(msgspec.structs.replace(options, options={}), "method", other)
    return dict(zip(others, decode_all(maps.probabilities, maps.fields, options=list(others.values())), strict=True))


def colored(image: np.ndarray) -> np.ndarray:
    """The image with one channel where all are equal, as a gray image repeated for a network is."""
    return image[:1] if len(image) > 1 and bool((image == image[:1]).all()) else image
