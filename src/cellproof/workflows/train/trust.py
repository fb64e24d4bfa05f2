"""How a model will judge its own results is fitted on held-out samples and degraded copies of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import ndimage

from ...checks import InputError
from ...difficulty.fit import FEWEST_IMAGES, Judged, fit_trust
from ...difficulty.foreign import Familiar, Look, fit_kinds
from ...difficulty.object_trust import object_truth
from ...inference.activate import Maps
from ...instances.decode import decode
from ...metrics import objects
from ...metrics.protocols import foreground_confusion
from ...types import IGNORE, InstanceOptions, Sample, TrustRecord
from ..predict import Labeled

COPIES = ("blur", "noise", "saturation")
"""Degraded copies of each held-out sample."""


def fit_on_held_out(
    samples: Sequence[Sample],
    kinds: Sequence[str],
    predict: Callable[[int, np.ndarray], Maps],
    *,
    options: InstanceOptions,
    copies: bool,
    deep: bool = True,
    say: Callable[[str], None],
) -> TrustRecord | None:
    """Fit the trust record of a model.

    Args:
        samples: Held-out samples with instances, on the network's grid.
        kinds: Of each; "" where data have none.
        predict: Maps of an image by the network from which the sample of this number was held out, tempered.
        options: How objects are made.
        copies: Whether degraded copies are looked at too, which takes three times as long again.
        deep: Whether features of the network tell foreign images too; not of several networks, whose features differ.
        say: Told why there is none.

    Returns:
        The record; None where the held-out samples are too few.
    """
    if len(samples) < FEWEST_IMAGES:
        say(f"{len(samples)} held-out images are too few to fit verdicts on ({FEWEST_IMAGES} at least): by pixels only")
        return None
    judged, made = [], []
    for number, sample in enumerate(samples):
        for copy in ("", *(COPIES if copies else ())):
            image = degrade(sample.image, copy, seed=number) if copy else sample.image
            made.append(copy)
            judged.append(judge_sample(predict(number, image), image, sample, options, group=str(number), copy=copy))
    try:
        return fit_trust(judged, _familiar(judged, made, kinds, deep=deep))
    except InputError as error:
        say(f"{error}; until then verdicts are by pixels only")
        return None


def degrade(image: np.ndarray, copy: str, *, seed: int) -> np.ndarray:
    """A degraded copy of a normalized image (C, H, W), its strength drawn by seed: one of `COPIES`."""
    rng = np.random.default_rng(seed)
    strength = rng.uniform()
    if copy == "blur":
        sd_px = 1 + 2 * strength
        blurred: np.ndarray = ndimage.gaussian_filter(image, (0, sd_px, sd_px))
        return blurred
    if copy == "noise":
        noisy: np.ndarray = image + rng.normal(0, 0.03 + 0.12 * strength, image.shape).astype(np.float32)
        return noisy
    factor = np.float32(1.5 + 2.5 * strength)
    return np.minimum(image * factor, 1)


def judge_sample(
    maps: Maps, image: np.ndarray, sample: Sample, options: InstanceOptions, *, group: str, copy: str
) -> Judged:
    """Evidence on a sample's result, and the truth.

    Args:
        maps: Of the image.
        image: (C, H, W), the sample's or a degraded copy of it.
        sample: Gives the truth.
        options: How objects are made.
        group: Name that all copies share.
        copy: How it was degraded; "" if not.
    """
    assert sample.instances is not None
    ignored = sample.class_map == IGNORE
    labels = decode(maps.probabilities, maps.fields, options=options)
    found = Labeled(1.0, maps, labels, np.minimum(labels, 1).astype(np.uint8)).evidence(image, options)
    counts = objects.count_matches(objects.overlap(labels, sample.instances, ignored=ignored), 0.5)
    confusion = foreground_confusion(labels, sample.instances, ignored=ignored).counts
    total = 2 * confusion[1, 1] + confusion[0, 1] + confusion[1, 0]
    return Judged(
        group=group,
        is_copy=bool(copy),
        objects=found.objects,
        right=object_truth(labels, sample.instances, ignored=ignored if ignored.any() else None),
        image=found.image,
        statistics=found.statistics,
        expected_dice=found.expected_dice,
        f1=objects.f1(counts),
        dice=float(2 * confusion[1, 1] / total) if total else math.nan,
        count=counts.tp + counts.fn,
        deep=found.deep,
    )


def _familiar(judged: Sequence[Judged], made: Sequence[str], kinds: Sequence[str], *, deep: bool) -> Familiar:
    """What each kind of which there are enough images looks like, held out and degraded."""
    looks = [
        Look(one.statistics, kinds[int(one.group)], deep=one.deep if deep else None, group=one.group, copy=copy)
        for one, copy in zip(judged, made, strict=True)
        if kinds.count(kinds[int(one.group)]) >= FEWEST_IMAGES
    ]
    return fit_kinds(looks) if looks else Familiar()
