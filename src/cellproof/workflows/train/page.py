"""What is known of a run becomes its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ... import __version__
from ...difficulty import title
from ...report.difficulty_pictures import difficulty_row, inline_figures
from ...report.overlay import class_overlay, difficulty_picture, overlay
from ...report.page import Example, TrainReport, train_report
from ...report.palette import class_colors
from ...report.pictures import inline_picture
from ...training.history import best_row, columns
from ...types import IGNORE
from .over_folds import over_folds
from .state import RunState, ValidationExample

PICTURE_PX = 400

METRIC_NAMES = {
    "map": "AP, mean over IoU 0.5 … 0.95",
    "ap50": "AP at IoU 0.5",
    "ap75": "AP at IoU 0.75",
    "ap90": "AP at IoU 0.9",
    "dice": "Dice of the foreground",
    "mean_iou": "IoU, mean over classes",
    "map_withheld": "AP, mean over IoU 0.5 … 0.95, condition withheld",
    "mean_iou_withheld": "IoU, mean over classes, condition withheld",
    "mean_dice": "Dice, mean over classes",
    "rand_error_unrepaired": "adapted Rand error of enclosed regions, before repairs",
    "rand_error": "adapted Rand error of enclosed regions, repaired",
    "unrepaired_mean_iou": "IoU, mean over classes, before repairs",
    "repaired_mean_iou": "IoU, mean over classes, repaired",
    "accuracy": "fraction of pixels with the right class",
}


def training_page(state: RunState) -> str:
    """HTML of a run, as far as it has come."""
    return train_report(
        TrainReport(
            title=f"Training of {state.recipe.name}",
            running=state.status == "running",
            status=_status(state),
            plan=state.reasons,
            history=_curves(state),
            step_losses=state.step_losses.get(0, []) if len(state.folds) == 1 else [],
            best_step=_best_step(state),
            metrics=[(metric_name(state, name), f"{value:.3f}") for name, value in state.metrics.items()],
            reliability=state.certainty.reliability,
            risk=state.certainty.risk,
            examples=[_example(example, state) for example in state.examples],
            classes=_legend(state),
            parameters=_parameters(state),
            notes=_notes(state),
            over_folds=[(metric_name(state, one.metric), one.text, one.values) for one in over_folds(state.history)],
        )
    )


def _notes(state: RunState) -> list[str]:
    """The verdict on the model, then how its scores are to be read."""
    if not state.metrics:
        return []
    verdict = [f"{sentence[0].upper()}{sentence[1:]}." for sentence in state.verdict]
    return [*verdict, "The validation images chose thresholds too, so the scores flatter a little."]


def metric_name(state: RunState, name: str) -> str:
    """A metric's name for a person: ``ap50`` is the AP at IoU 0.5, ``iou_1`` the IoU of class 1."""
    group, slash, metric = name.rpartition("/")
    if metric.startswith("iou_"):
        words = f"IoU of {_class_name(state, int(metric.removeprefix('iou_')))}"
    else:
        words = METRIC_NAMES.get(metric, metric)
    return f"{group}: {words}" if slash else words


def duration(seconds: float) -> str:
    """Time as a person says it: ``90 s``, ``12 min``, ``2 h 05 min``.

    Example:
        >>> duration(90), duration(700), duration(7500)
        ('90 s', '12 min', '2 h 05 min')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def _status(state: RunState) -> str:
    trained = f"{state.steps} step{'' if state.steps == 1 else 's'} in {duration(state.trained_s)}"
    if state.status == "finished":
        return f"Finished: {trained}; the model is {state.request.out / 'model.safetensors'}."
    begun = max(len(state.history), 1)
    several = f" {begun} of {len(state.folds)}" if len(state.folds) > 1 else ""
    if state.status == "stopped":
        return f"Stopped in training{several} after {trained} up to the last validation; it can be resumed."
    return f"Training{several} is running: {trained} up to the last validation."


def _curves(state: RunState) -> Mapping[str, Sequence[float]]:
    """Loss and metrics of a single training; loss and score of each of several."""
    if len(state.folds) == 1:
        table = columns(state.history.get(0, ()))
        return {_curve_name(state, name): values for name, values in table.items()}
    rows = [(fold, row) for fold, history in sorted(state.history.items()) for row in history]
    table = {"step": [row.step for _, row in rows]}
    for fold in sorted(state.history):
        table[f"loss, fold {fold + 1}"] = [row.loss if of == fold else float("nan") for of, row in rows]
        table[f"{_watched(state)}, fold {fold + 1}"] = [row.score if of == fold else float("nan") for of, row in rows]
    return table


def _curve_name(state: RunState, column: str) -> str:
    is_class = column.startswith("iou_")
    return f"IoU {_class_name(state, int(column.removeprefix('iou_')))}" if is_class else column


def _watched(state: RunState) -> str:
    return "map" if _has_instances(state) else "mean IoU"


def _best_step(state: RunState) -> int | None:
    best = best_row(state.history.get(0, ()))
    return best.step if best is not None and len(state.folds) == 1 else None


def _has_instances(state: RunState) -> bool:
    return bool(state.recipe.heads)


def _class_names(state: RunState) -> tuple[str, ...]:
    background = ("background",) if state.description.masks == "instances" else ()
    return (*background, *state.description.classes)


def _class_name(state: RunState, number: int) -> str:
    names = _class_names(state)
    return names[number] if number < len(names) else str(number)


def _colors(state: RunState) -> tuple[str, ...]:
    names = _class_names(state)
    given = state.description.colors
    return class_colors(len(names), given if len(given) == len(names) else ())


def _legend(state: RunState) -> list[tuple[str, str]]:
    """Names and colors of classes where pixels, not objects, are colored."""
    return [] if _has_instances(state) else list(zip(_class_names(state), _colors(state), strict=True))


def _parameters(state: RunState) -> list[tuple[str, str]]:
    request, recipe = state.request, state.recipe
    return [
        ("data", str(request.data)),
        ("images", f"{len(state.folds[0].train)} to learn from, {len(state.folds[0].val)} to check with"),
        ("trainings", str(len(state.folds))),
        (
            "architecture",
            ", ".join([recipe.model.architecture, *(f"{k} {v}" for k, v in recipe.model.options.items())]),
        ),
        ("start", recipe.model.init or "random weights"),
        ("time", "as long as the steps take" if request.seconds is None else duration(request.seconds)),
        ("seed", str(request.seed)),
        ("device", state.device),
        ("CellProof", __version__),
    ]


def _example(example: ValidationExample, state: RunState) -> Example:
    image = _for_the_eye(example.image)
    # The confidence has an image of its own, on the same scale for all images.
    shown, reference, prediction, *further = inline_figures(
        difficulty_row(
            image,
            prediction=_drawn(image, example.prediction, state),
            difficult=example.difficulty.difficult,
            measures=_measures(example),
            reference=_drawn(image, example.reference, state),
            max_px=PICTURE_PX,
        )
    )
    return Example(
        name=example.name,
        image=shown.picture,
        reference=reference.picture,
        prediction=prediction.picture,
        difficulty=inline_picture(difficulty_picture(image, example.difficulty.confidence, max_px=PICTURE_PX)),
        further=further,
        caption=_caption(example, state),
    )


def _measures(example: ValidationExample) -> list[tuple[str, np.ndarray]]:
    """Maps with their titles: difficulty, then what the network explains, each of these from its least to its most."""
    difficulty = [(title(name), values) for name, values in example.difficulty.named()[1:]]
    spans = [(name, values - values.min()) for name, values in example.explained.items()]
    return difficulty + [(name, values / max(float(values.max()), 1e-12)) for name, values in spans]


def _drawn(image: np.ndarray, labels: np.ndarray, state: RunState) -> np.ndarray:
    if _has_instances(state):
        return overlay(image, labels, max_px=PICTURE_PX)
    return class_overlay(image, labels, colors=_colors(state), max_px=PICTURE_PX)


def _caption(example: ValidationExample, state: RunState) -> str:
    if _has_instances(state):
        there, found = (np.unique(labels[labels > 0]).size for labels in (example.reference, example.prediction))
        return f"{there} object{'' if there == 1 else 's'} in the reference, {found} in the prediction"
    annotated = example.reference != IGNORE
    if not annotated.any():
        return "not annotated"
    right = (example.prediction == example.reference)[annotated].mean()
    return f"{right:.1%} of the annotated pixels have the reference's class"


def _for_the_eye(image: np.ndarray) -> np.ndarray:
    """Normalized colors as 8-bit ones, which are shown as colors; other images as they are."""
    return (np.clip(image, 0, 1) * 255).astype(np.uint8) if len(image) == 3 else image
