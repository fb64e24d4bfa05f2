"""Look at the data and write the recipe a careful colleague would, with a reason for every choice.

Pure: facts in, recipe and sentences out. `experiment` gathers the facts and carries the recipe out.
"""

from __future__ import annotations

import msgspec
import numpy as np

from ...checks import InputError
from ...data.description import Description
from ...io import read_header
from ...models._pretrained import ARCHITECTURES
from ...recipe import AugmentConfig, DataConfig, HeadConfig, LossConfig, ModelConfig, Recipe, TrainingConfig
from ..predict import find_model
from .speed import average_decay
from .start import is_model
from .survey import Survey

COMFORTABLE_DIAMETER_PX = (8.0, 64.0)
"""Objects between these diameters suit a receptive field of some 200 px at full resolution."""

WORKING_DIAMETER_PX = 32.0
"""Where objects outside that range are brought by scaling."""

CUT_OUT_PX = 160
"""Images with a shorter side below this were cut out around something."""

SECONDS_PER_CROP = {"cpu": 0.16, "cuda": 0.006, "mps": 0.03}
"""A step of the 7.6 M-parameter U-Net per 256 × 256 crop, data included: measured on 2 cores with bf16
instructions; for GPUs a cautious guess, which only sets how many crops are expected."""


def plan(
    facts: Survey,
    description: Description,
    *,
    seconds: float | None,
    device: str,
    default_model: str,
) -> tuple[Recipe, list[str]]:
    """A recipe for these data, and why each choice was made.

    Args:
        facts: From `survey`.
        description: The data's `dataset.toml`, or what was found out in its place.
        seconds: Time for the whole training, None for no limit.
        device: "cpu", "cuda" or "mps".
        default_model: Name of a shipped model to start from, "" for random weights.
    """
    reasons = [_task_reason(facts, description)]
    scale = _scale(facts, reasons)
    patch_px, batch = _patch(facts, scale, reasons)
    steps = _steps(facts, patch_px, batch, seconds, device, reasons)
    folds = _folds(facts, seconds, reasons)
    recipe = Recipe(
        name=description.name or "planned",
        folds=folds,
        data=_data(facts, scale, default_model, reasons),
        model=_model(default_model, reasons),
        heads=_heads(description, reasons),
        loss=_loss(facts, description, reasons),
        augment=_augment(facts, description, reasons),
        training=TrainingConfig(
            patch_px=patch_px,
            batch=batch,
            steps=steps,
            validate_every=max(5, steps // 12),
            validation_pixels=_validation_pixels(seconds),
            learning_rate=1e-3,
            average_decay=average_decay(steps),
        ),
    )
    return recipe, reasons


def _task_reason(facts: Survey, description: Description) -> str:
    names = ", ".join(description.classes)
    if description.masks == "instances":
        low, middle, high = (round(d) for d in facts.diameters_px) if facts.diameters_px else (0, 0, 0)
        return (
            f"separate objects ({names}): masks hold ids; {facts.images} images, diameters {middle} px "
            f"({low} to {high}), {facts.touching:.0%} touch another object"
        )
    shares = ", ".join(
        f"{name} {share:.0%}" for name, share in zip(description.classes, facts.class_shares, strict=False)
    )
    return f"a class for every pixel ({shares}): masks hold class values; {facts.images} images"


def _scale(facts: Survey, reasons: list[str]) -> float:
    if not facts.diameters_px:
        reasons.append("images are used at their own scale, for classes have no object size to go by")
        return 1.0
    low, high = COMFORTABLE_DIAMETER_PX
    middle = facts.diameters_px[1]
    if low <= middle <= high:
        reasons.append(f"images are used at their own scale: objects of {middle:.0f} px suit the receptive field")
        return 1.0
    scale = float(np.clip(WORKING_DIAMETER_PX / middle, 0.125, 2.0))
    # Eighths keep resampling on round factors.
    scale = max(0.125, round(scale * 8) / 8)
    scaled_px = middle * scale
    reasons.append(f"images are scaled by {scale:g}, which brings objects of {middle:.0f} px to {scaled_px:.0f} px")
    return scale


def _patch(facts: Survey, scale: float, reasons: list[str]) -> tuple[int, int]:
    side = facts.side_px * scale
    patch_px = 256 if side >= 200 else 192 if side >= 160 else 128
    batch = {256: 4, 192: 6, 128: 12}[patch_px]
    reasons.append(f"patches of {patch_px} px, {batch} a step: the shorter side of an image is {side:.0f} px")
    return patch_px, batch


def _steps(facts: Survey, patch_px: int, batch: int, seconds: float | None, device: str, reasons: list[str]) -> int:
    wanted = int(np.clip(200 * facts.images / batch, 1500, 8000))
    if seconds is None:
        reasons.append(f"{wanted} steps: about {wanted * batch // facts.images} crops of each image")
        return wanted
    step_s = SECONDS_PER_CROP.get(device, SECONDS_PER_CROP["cpu"]) * batch * (patch_px / 256) ** 2
    # Replaced, and said, once the speed of this machine is measured.
    return max(20, int(0.85 * seconds / step_s))


def _folds(facts: Survey, seconds: float | None, reasons: list[str]) -> int:
    few, fold_s = 20, 1800.0
    if facts.images <= few and (seconds is None or seconds >= 3 * fold_s):
        reasons.append(f"3 folds, for {facts.images} images are few to hold some out; the model is their ensemble")
        return 3
    reasons.append(
        "one training with some images held out to choose thresholds"
        + ("; with three times half an hour, folds would use every image" if facts.images <= few else "")
    )
    return 1


def _data(facts: Survey, scale: float, default_model: str, reasons: list[str]) -> DataConfig:
    channels = 3 if default_model and facts.channels <= 3 else facts.channels
    if channels != facts.channels:
        reasons.append(f"images of {facts.channels} channel are repeated to {channels}, which the start weights read")
    reasons.append("intensities: percentiles 1 and 99.8 of each image and channel become 0 and 1")
    fit_side_px = round(facts.side_px) if facts.side_px < CUT_OUT_PX and not facts.diameters_px else 0
    if fit_side_px:
        reasons.append(
            f"images of {fit_side_px} px frame single cells: others are brought to that side, "
            "whatever their magnification"
        )
    return DataConfig(
        in_channels=channels,
        scale=scale,
        fit_side_px=fit_side_px,
        fit_objects=bool(facts.diameters_px),
        validation=0.15 if facts.images >= 14 else 2 / 12,
    )


def _model(default_model: str, reasons: list[str]) -> ModelConfig:
    if default_model in ARCHITECTURES:
        architecture = ARCHITECTURES[default_model]
        reasons.append(f"starts from the ImageNet weights of {default_model}, the encoder of {architecture}")
        encoder = {"encoder": default_model} if architecture == "resnet_unet" else {}
        return ModelConfig(architecture=architecture, options=encoder, init=default_model)
    if default_model and is_model(default_model):
        header = read_header(find_model(default_model))
        if header.parts or header.heads.is_detector:
            raise InputError(
                f"model {header.name!r} is {'an ensemble' if header.parts else 'a detector'}, for which no training is "
                "planned; start from another model, or give a recipe",
                argument="init",
            )
        reasons.append(
            f"starts from the weights of {default_model!r}, so with its network, {header.architecture}; "
            "layers of another shape start afresh"
        )
        return ModelConfig(architecture=header.architecture, options=header.options, init=default_model)
    options: dict[str, int | float | bool | str] = {"width": 32, "depth": 5, "max_width": 256, "upsample": "transposed"}
    return ModelConfig(architecture="unet", options=options, init=default_model)


def _heads(description: Description, reasons: list[str]) -> tuple[HeadConfig, ...]:
    if description.masks == "semantic":
        return ()
    reasons.append("the network learns class, boundary, height and flow; validation chooses which of them make objects")
    return (HeadConfig("boundary"), HeadConfig("distance"), HeadConfig("flows"))


def _loss(facts: Survey, description: Description, reasons: list[str]) -> LossConfig:
    rarest = min(facts.class_shares, default=1.0)
    if description.masks == "semantic" and rarest < 0.2:
        reasons.append(f"rare classes weigh more in the loss, for the rarest covers {rarest:.1%}")
        return LossConfig(balance_classes=0.25)
    return LossConfig()


def _augment(facts: Survey, description: Description, reasons: list[str]) -> AugmentConfig:
    augment = AugmentConfig(scale=(0.7, 1.4), elastic_px=2.0, illumination=0.15)
    is_cut_out = facts.side_px < CUT_OUT_PX
    if is_cut_out:
        augment = msgspec.structs.replace(augment, scale=(0.6, 1.8), foreground_bias=0.3)
    low, high = augment.scale
    why = " because images this small are cut-outs of varying magnification" if is_cut_out else ""
    words = [f"flips, any rotation, scale {low:g} to {high:g}{why}"]
    words.append("slight elastic, gamma, contrast, noise, blur, uneven light")
    if facts.channels == 3:
        augment = msgspec.structs.replace(augment, color=0.25, grayscale=0.1)
        words.append("color, because stains differ between laboratories")
    reasons.append("augmented by " + "; ".join(words))
    return augment


def _validation_pixels(seconds: float | None) -> int:
    # At about 1 Mpixel/s, a dozen validations then take a tenth of the time.
    return 16_000_000 if seconds is None else int(np.clip(seconds / 120 * 1e6, 300_000, 16_000_000))
