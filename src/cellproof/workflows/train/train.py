"""`cellproof.train`: a folder of annotated images to a model file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...checks import UsageError
from ...training.loop import Progress
from .page import duration
from .run import run_training
from .state import TrainRequest, Watcher

if TYPE_CHECKING:
    from ...inference.engine import Device


def train(
    data: str | Path,
    out: str | Path,
    *,
    recipe: str | Path | None = None,
    init: str | Path | None = None,
    time_s: float | None = None,
    folds: int | None = None,
    seed: int = 0,
    overrides: Sequence[str] = (),
    resume: bool = False,
    device: Device = "auto",
    progress: Callable[[float, str], None] | None = None,
) -> Path:
    """Train a model on annotated images.

    Besides the model, the folder gets ``report.html``, ``history.csv``, ``run.json``, ``recipe.toml``,
    ``splits.json``, ``data.json`` and what resuming needs.

    Args:
        data: Folder of images and masks: ``images/`` and ``masks/``, the same under ``train/`` and ``val/``, or pairs
            ``a.tif`` and ``a_masks.tif``.
        out: Folder of the training run, made where it is missing.
        recipe: Name or file of a recipe; None plans one from the data, and says why.
        init: Model to start from: a shipped model's name, a file, or the folder of a training run; None leaves it to
            the recipe.
        time_s: Seconds for everything; None for as long as the recipe's steps take.
        folds: Number of cross-validation folds, whose models form one ensemble; None leaves it to the recipe.
        seed: Random seed, at least 0.
        overrides: Changes to the recipe, each ``"section.key=value"``, for example ``"training.steps=2000"``.
        resume: Continue the run in ``out``.
        device: "auto", "cpu", "cuda" or "mps".
        progress: Called after each step and with each message: (fraction done in [0, 1], one line). It must return
            quickly.

    Returns:
        The model file, ``out/model.safetensors``.

    Raises:
        InputError: The data, the recipe or the folder cannot be used; fewer than two annotated images; or the loss
            stopped being finite, and the best model before that was written.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from PIL import Image
        >>> import cellproof
        >>> folder = tempfile.TemporaryDirectory()
        >>> for kind in ("images", "masks"):
        ...     (Path(folder.name) / kind).mkdir()
        ...     for number in range(2):
        ...         pixels = np.zeros((32, 32), np.uint8)
        ...         pixels[8:24, 4 : 20 + number] = 200 if kind == "images" else 1
        ...         Image.fromarray(pixels).save(Path(folder.name) / kind / f"{number}.png")
        >>> small = ["training.steps=2", "training.patch_px=16", "training.batch=1", "model.options={width=4, depth=2}"]
        >>> model = cellproof.train(folder.name, Path(folder.name) / "run", init="", folds=1, overrides=small)
        >>> model.name, (model.parent / "report.html").exists()
        ('model.safetensors', True)
        >>> folder.cleanup()
    """
    if time_s is not None and not time_s > 0:
        raise UsageError(f"time_s is {time_s}; expected seconds above 0", argument="time_s")
    if isinstance(overrides, str):
        raise UsageError(f"overrides is one text, {overrides!r}; expected a list of them", argument="overrides")
    request = TrainRequest(
        data=Path(data),
        out=Path(out),
        recipe=None if recipe is None else str(recipe),
        init=None if init is None else str(init),
        seconds=time_s,
        folds=folds,
        seed=seed,
        settings=tuple(overrides),
        resume=resume,
        device=device,
    )
    return run_training(request, Watcher() if progress is None else _watcher(progress))


def _watcher(progress: Callable[[float, str], None]) -> Watcher:
    """Callbacks that join messages and steps in one."""
    done = 0.0

    def say(sentence: str) -> None:
        progress(done, sentence)

    def step(fold: int, folds: int, at: Progress) -> None:
        nonlocal done
        done = (fold + at.share) / folds
        several = f"fold {fold + 1} of {folds}, " if folds > 1 else ""
        progress(done, f"{several}step {at.step}, loss {at.loss:.3f}, {duration(at.seconds)}")

    return Watcher(say=say, step=step)
