"""`cellproof.evaluate`: predictions and references, as arrays or on disk, become scores."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from ...checks import InputError, UsageError, check_labels, check_same_shape
from ...io import write_labels
from ...metrics.rows import Row
from .score import evaluate_folders

_POOLED = "pooled"


@dataclass(frozen=True, repr=False)
class Scores:
    """Rows of a result table, each with the policies that make it comparable.

    Attributes:
        rows: Scores over all images first, then one row for each problem.

    Example:
        >>> import numpy as np
        >>> import cellproof
        >>> reference = np.zeros((20, 20), int)
        >>> reference[2:8, 2:8], reference[11:17, 11:17] = 1, 2
        >>> scores = cellproof.evaluate(np.where(reference == 1, 1, 0), reference)
        >>> scores["AP", 0.5], scores["F1", 0.5]
        (0.5, 0.6666666666666666)
        >>> print(scores)
        <Scores of 1 image, 2 objects: AP (StarDist) 0.5 0.500, F1 0.5 0.667, Dice foreground 0.667>
    """

    rows: tuple[Row, ...]

    def __getitem__(self, key: str | tuple[str, object]) -> float:
        """Value of a metric over all images, pooled where it was pooled.

        Args:
            key: Name of the metric, or the name with its IoU threshold or class. "AP" stands for "AP (StarDist)".

        Raises:
            KeyError: There is no such row; the message lists what there is.
        """
        metric, of = key if isinstance(key, tuple) else (key, "")
        wanted = f"{of:g}" if isinstance(of, float) else str(of)
        found = [
            row
            for row in self.rows
            if _is_called(row.metric, metric) and row.class_or_threshold == wanted and not row.group and not row.problem
        ]
        if not found:
            there = dict.fromkeys((row.metric, row.class_or_threshold) for row in self.rows if not row.problem)
            listed = ", ".join(f"{name} {of}".rstrip() for name, of in there)
            raise KeyError(f"no {metric} {wanted}".rstrip() + f"; there are {listed}")
        return min(found, key=lambda row: row.averaging != _POOLED).value

    def table(self) -> dict[str, list[object]]:
        """Column name → one value per row, ready for ``pandas.DataFrame``; problems are left out.

        Example:
            >>> import numpy as np
            >>> import cellproof
            >>> empty = np.zeros((8, 8), int)
            >>> list(cellproof.evaluate(empty, empty).table())[:3]
            ['metric', 'of', 'value']
        """
        rows = [row for row in self.rows if not row.problem]
        return {
            "metric": [row.metric for row in rows],
            "of": [row.class_or_threshold for row in rows],
            "value": [row.value for row in rows],
            "averaging": [row.averaging for row in rows],
            "low": [row.interval[0] if row.interval else math.nan for row in rows],
            "high": [row.interval[1] if row.interval else math.nan for row in rows],
            "n_images": [row.n_images for row in rows],
            "n_objects": [row.n_objects for row in rows],
            "group": [row.group for row in rows],
        }

    @property
    def problems(self) -> list[str]:
        """What was wrong with predictions or references, a sentence each."""
        return [row.problem for row in self.rows if row.problem]

    def __repr__(self) -> str:
        """One line: how many images, and the numbers that are quoted most."""
        first = self.rows[0]
        extent = f"{first.n_images} image{'' if first.n_images == 1 else 's'}"
        if first.n_objects is not None:
            extent += f", {first.n_objects} object{'' if first.n_objects == 1 else 's'}"
        shown = ", ".join(f"{row.metric} {row.class_or_threshold} {row.value:.3f}" for row in self._headline())
        wrong = f"; {len(self.problems)} problem{'' if len(self.problems) == 1 else 's'}" if self.problems else ""
        return f"<Scores of {extent}: {shown}{wrong}>"

    def _repr_html_(self) -> str:
        """The table, for notebooks."""
        columns = self.table()
        head = "".join(f"<th>{escape(name)}</th>" for name in columns)
        lines = zip(*columns.values(), strict=True)
        body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in line) + "</tr>" for line in lines)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _headline(self) -> Iterator[Row]:
        pooled = [row for row in self.rows if row.averaging == _POOLED and not row.group and not row.problem]
        wanted = [("AP", "0.5"), ("F1", "0.5"), ("Dice", "foreground"), ("Dice", "mean"), ("IoU", "mean")]
        for metric, of in wanted:
            yield from [r for r in pooled if _is_called(r.metric, metric) and r.class_or_threshold == of][:1]


def evaluate(
    prediction: np.ndarray | Sequence[np.ndarray] | str | Path,
    reference: np.ndarray | Sequence[np.ndarray] | str | Path,
    *,
    protocol: str | None = None,
) -> Scores:
    """Score predictions against references.

    Args:
        prediction: Labels or class ids: an array (H, W) or a stack (P, H, W), a list of such arrays, or the path of
            a file or of a folder as `cellproof segment` writes it.
        reference: The same of the references: arrays of the same shapes, or a file or folder of masks of the same
            names. A reference on disk without a usable prediction counts as all missed, and is a problem.
        protocol: How they are compared, for example "stardist" for objects or "pixel" for class maps. None takes
            arrays for labels of objects, and for files the protocol that fits the references.

    Returns:
        Scores over all images. Without objects on either side, AP and F1 are NaN.

    Raises:
        InputError: Nothing to compare, arrays of different shapes or numbers, labels that are not whole numbers, or
            an unknown protocol.

    Example:
        >>> import numpy as np
        >>> import cellproof
        >>> reference = np.zeros((20, 20), int)
        >>> reference[2:8, 2:8] = 1
        >>> cellproof.evaluate(reference, reference)["AP", 0.5]
        1.0
    """
    on_disk = [isinstance(side, str | Path) for side in (prediction, reference)]
    if all(on_disk):
        rows = evaluate_folders(Path(prediction), Path(reference), protocol=protocol)  # type: ignore[arg-type]
        return Scores(tuple(rows))
    if any(on_disk):
        raise UsageError(
            "prediction and reference are an array and a path; give two arrays, or two paths",
            argument=("prediction", "reference"),
        )
    pairs = _pairs(_arrays(prediction), _arrays(reference))
    with tempfile.TemporaryDirectory(prefix="cellproof-") as folder:
        sides = (Path(folder) / "prediction", Path(folder) / "reference")
        for side in sides:
            side.mkdir()
        for number, pair in enumerate(pairs):
            for side, labels in zip(sides, pair, strict=True):
                write_labels(side / f"image{number:06}.tif", labels)
        return Scores(tuple(evaluate_folders(*sides, protocol=protocol or "stardist")))


def _arrays(given: object) -> list[np.ndarray]:
    """(H, W) planes of what was given."""
    arrays = [np.asarray(one) for one in given] if isinstance(given, list | tuple) else [np.asarray(given)]
    planes: list[np.ndarray] = []
    for array in arrays:
        if array.ndim not in (2, 3):
            raise InputError(f"labels of shape {array.shape}; expected (H, W), or (P, H, W) for a stack of planes")
        planes += [array] if array.ndim == 2 else list(array)
    return planes


def _pairs(predictions: list[np.ndarray], references: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Planes of both sides that belong together.

    Raises:
        InputError: They do not fit.
    """
    if len(predictions) != len(references) or not references:
        raise InputError(
            f"{len(predictions)} predictions and {len(references)} references; expected one of each per image"
        )
    for prediction, reference in zip(predictions, references, strict=True):
        check_same_shape(prediction=prediction, reference=reference)
        check_labels(prediction=prediction, reference=reference)
    return list(zip(predictions, references, strict=True))


def _is_called(metric: str, asked: str) -> bool:
    return metric == asked or metric.partition(" (")[0] == asked


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3f}"
    return escape("" if value is None else str(value))
