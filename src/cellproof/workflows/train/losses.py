"""The loss of every step, in a table beside the model, so that the curve of a resumed run is whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...checks import InputError
from ...io import read_csv, write_csv

LOSSES_CSV = "losses.csv"


def write_losses(out: Path, losses: Mapping[int, Sequence[tuple[int, float]]]) -> None:
    """Write ``losses.csv`` with the columns fold (counted from 1), step and loss.

    Raises:
        InputError: The file cannot be written.
    """
    rows = [(fold + 1, step, loss) for fold, points in sorted(losses.items()) for step, loss in points]
    write_csv(
        out / LOSSES_CSV, {name: [row[place] for row in rows] for place, name in enumerate(("fold", "step", "loss"))}
    )


def read_losses(out: Path, *, fold: int, up_to_step: int) -> list[tuple[int, float]]:
    """(step, loss) of a fold, counted from 0, up to the step at which it is resumed.

    Returns:
        Nothing where the table is missing or cannot be read: it is for the eye only.
    """
    try:
        table = read_csv(out / LOSSES_CSV)
        rows = list(zip(table["fold"], table["step"], table["loss"], strict=True))
        points = [(int(step), float(loss)) for of, step, loss in rows if int(of) == fold + 1]
    except (InputError, KeyError, ValueError):
        return []
    return [(step, loss) for step, loss in points if step <= up_to_step]
