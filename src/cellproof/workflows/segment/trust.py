"""How far a plane's result can be trusted: by the model's trust record where it has one, else by its pixels alone."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from ...checks import InputError
from ...difficulty.confidence import mean_confidence
from ...difficulty.drift import drift_notes
from ...difficulty.image_trust import with_promise
from ...difficulty.quality import assess, expected_iou
from ...types import ModelHeader, Promise, Quality
from ..predict import Labeled

OLD_KIND = "judged by pixels alone, as the model holds no trust record"
"""Said of verdicts of instance models from before there were such records, or of too small a validation."""


def promised(header: ModelHeader, promise: Promise | None) -> ModelHeader:
    """The header of a model whose accepted images keep another promise; itself for None.

    Raises:
        InputError: The model judges by pixels alone, or its held-out results cannot show that it keeps the promise.
    """
    if promise is None:
        return header
    if header.trust is None:
        raise InputError(
            f"model {header.name} judges by pixels alone and keeps no promise; leave the promise out, or train a model "
            "of objects on more images",
            argument="promise",
        )
    return msgspec.structs.replace(header, trust=with_promise(header.trust, promise))


def judge_plane(
    header: ModelHeader, image: np.ndarray, view: Labeled, *, sure: np.ndarray, diameters_px: np.ndarray
) -> tuple[Quality, np.ndarray | None]:
    """The verdict on a plane, and each object's probability of being right.

    Args:
        header: Of the model.
        image: (C, H, W) normalized.
        view: What the model predicts and finds.
        sure: (H, W) confidence.
        diameters_px: (n,) of the objects, in pixels of the image.

    Returns:
        The verdict; and (n,) probabilities, None for models without a trust record, whose verdict looks at pixels only
        and says so.
    """
    probabilities, labels = view.maps.probabilities, view.labels
    if header.trust is not None:
        found = view.evidence(image, header.instance)
        return found.judge(header.trust, mean_confidence=mean_confidence(sure, within=labels > 0))
    known = diameters_px * view.scale if header.heads.has_instances else None
    noun = "object" if header.heads.has_instances else "piece"
    quality = assess(
        probabilities, labels, sure=sure, drift=drift_notes(header.statistics, diameters_px=known), noun=noun
    )
    if header.heads.has_instances:
        return replace(quality, why=f"{quality.why} ({OLD_KIND})"), None
    return replace(quality, expected_iou=expected_iou(probabilities, view.classes)), None
