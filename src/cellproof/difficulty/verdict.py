"""The verdict on an image by a model's own trust record: the worst of expected F1, expected Dice and foreignness."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np

from ..types import Quality, TrustRecord
from .foreign import foreignness
from .image_trust import expected_count, expected_f1, mean_features, right_features
from .object_trust import p_right

REJECT_F1 = 0.5
"""Expected F1 below which the result should not be used: more objects are missed or wrong than right."""

REJECT_DICE = 0.6
"""Expected Dice below which the result should not be used."""


def judge(
    trust: TrustRecord,
    *,
    objects: Mapping[str, np.ndarray],
    image: Mapping[str, float],
    statistics: Mapping[str, float],
    expected_dice: float,
    mean_confidence: float,
    deep: np.ndarray | None = None,
) -> tuple[Quality, np.ndarray]:
    """Judge an image's result.

    Args:
        trust: Of the model.
        objects: Feature → (n,), see `object_features` and `with_image`.
        image: Feature → number, see `image_features`.
        statistics: What the image looks like, see `image_statistics`.
        expected_dice: Of the foreground; NaN where nothing is foreground.
        mean_confidence: Mean confidence over the pixels of objects.
        deep: (F,) features of the network; None where it gives none.

    Returns:
        The verdict with its reasons, and (n,) the probability of each object that it is right. An image without
        objects has no expected F1; it is never accepted.

    Raises:
        InputError: a feature that the record was fitted on is missing.
    """
    right = p_right(trust.objects, objects)
    evidence = {**image, **right_features(right), **mean_features(objects)}
    f1 = expected_f1(trust, evidence) if right.size else math.nan
    count, count_sd = expected_count(trust, evidence, right.size)
    reasons = _reasons(trust, f1, expected_dice)
    asks_views = bool(reasons)
    if trust.kinds:
        foreign = foreignness(statistics, trust.kinds, projection=trust.deep, deep=deep)
        asks_views = asks_views or foreign.gains_by_views
        reasons += [foreign.note] if foreign.note and right.size else []
    verdict: Literal["accept", "review", "reject"] = "review" if reasons else "accept"
    if f1 < REJECT_F1 or expected_dice < REJECT_DICE:
        verdict = "reject"
    quality = Quality(
        count=right.size,
        mean_confidence=mean_confidence,
        expected_dice=expected_dice,
        verdict=verdict,
        why="; ".join(reasons) or f"expected F1 {f1:.2f} and Dice {expected_dice:.2f}",
        expected_f1=f1,
        expected_count=count,
        expected_count_sd=count_sd,
        asks_views=asks_views,
    )
    return quality, right


def _reasons(trust: TrustRecord, f1: float, dice: float) -> list[str]:
    if math.isnan(f1):
        if math.isnan(dice):
            return ["nothing found and no pixel came near it: check that the image is really empty"]
        return ["nothing found, though some pixels came near"]
    found = []
    if f1 < trust.accept_f1:
        found.append(f"expected F1 {f1:.2f} is below {REJECT_F1 if f1 < REJECT_F1 else round(trust.accept_f1, 2)}")
    if dice < trust.accept_dice:
        found.append(f"expected Dice {dice:.2f} is below {REJECT_DICE if dice < REJECT_DICE else trust.accept_dice}")
    return found
