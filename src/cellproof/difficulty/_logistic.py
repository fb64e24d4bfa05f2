"""A logistic model of a few named features, its coefficients plain numbers that a person can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..checks import InputError
from ..types import LogisticModel

LARGEST_LOGIT = 12.0
"""Beyond this a probability is 1 or 0 for all purposes; it also keeps `numpy.exp` in range."""


SMALLEST_SD = 1e-4
"""A feature that varies by less does not vary: numbers are kept to five decimals."""


def fit_logistic(
    features: Mapping[str, np.ndarray],
    truth: np.ndarray,
    *,
    ridge: float = 1.0,
    weights: np.ndarray | None = None,
    bent: bool = False,
) -> LogisticModel:
    """The likeliest logistic model of standardized features, its coefficients held back by a ridge.

    Args:
        features: Name → (n,) values. What is not a number counts as the mean of the others.
        truth: (n,) in [0, 1]: whether something holds, or to which fraction.
        ridge: Penalty ½ ridge Σ w² on the coefficients of standardized features, against a sum over n rows; the
            intercept is free.
        weights: (n,) of the rows, 1 where not given.
        bent: Whether a feature may count otherwise above its mean than below.

    Returns:
        The model. Features that hardly change get a coefficient of about 0.

    Raises:
        InputError: no row, or lengths differ.

    Example:
        >>> model = fit_logistic({"x": np.array([0.0, 1, 2, 3])}, np.array([0, 0, 1, 1]))
        >>> apply_logistic(model, {"x": np.array([1.5])}).round(3)
        array([0.5])
    """
    names = tuple(features)
    if truth.size == 0 or any(features[name].shape != truth.shape for name in names):
        shapes = ", ".join(str(features[name].shape) for name in names)
        raise InputError(f"features have shapes {shapes} and truth {truth.shape}, expected the same (n,), n at least 1")
    table = np.stack([features[name] for name in names], axis=1).astype(np.float64)
    known = np.isfinite(table)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, table, 0).sum(axis=0) / count
    centered = np.where(known, table - mean, 0)
    sd = np.sqrt((centered**2).sum(axis=0) / count)
    sd[sd < SMALLEST_SD] = 1.0
    rows = centered / sd
    if bent:
        rows = np.concatenate([rows, np.maximum(rows, 0)], axis=1)
    weight = np.ones(len(rows)) if weights is None else weights

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        slope, intercept = parameters[:-1], parameters[-1]
        logit = rows @ slope + intercept
        value = weight @ (np.logaddexp(0, logit) - truth * logit) + ridge / 2 * (slope @ slope)
        error = weight * (_sigmoid(logit) - truth)
        return float(value), np.append(rows.T @ error + ridge * slope, error.sum())

    from scipy import optimize  # a tenth of the time in which `segment` starts, and only fits need it

    found = optimize.minimize(loss, np.zeros(rows.shape[1] + 1), jac=True, method="L-BFGS-B")
    *slopes, intercept = found.x
    return LogisticModel(
        features=names,
        mean=_numbers(mean),
        sd=_numbers(sd),
        weights=_numbers(slopes[: len(names)]),
        intercept=round(float(np.clip(intercept, -LARGEST_LOGIT, LARGEST_LOGIT)), 5),
        bends=_numbers(slopes[len(names) :]),
    )


def apply_logistic(model: LogisticModel, features: Mapping[str, np.ndarray]) -> np.ndarray:
    """Probabilities that a model gives.

    Args:
        model: From `fit_logistic`.
        features: Name → (n,) values; those that the model does not name are not looked at.

    Returns:
        (n,) in (0, 1). A feature that is not a number counts as its mean.

    Raises:
        InputError: a feature of the model is missing.
    """
    missing = [name for name in model.features if name not in features]
    if missing:
        raise InputError(f"features lack {', '.join(missing)}; give those that the model was fitted on")
    logit = np.full(np.shape(next(iter(features.values()))), model.intercept)
    bends = model.bends or (0.0,) * len(model.features)
    for name, mean, sd, weight, bend in zip(model.features, model.mean, model.sd, model.weights, bends, strict=True):
        standard = np.nan_to_num((features[name] - mean) / sd, posinf=0.0, neginf=0.0)
        logit = logit + weight * standard + bend * np.maximum(standard, 0)
    return _sigmoid(logit)


def logit(probability: np.ndarray, *, margin: float = 1e-3) -> np.ndarray:
    """log(p / (1 - p)), with p kept this far from 0 and 1."""
    kept = np.clip(np.asarray(probability, np.float64), margin, 1 - margin)
    odds: np.ndarray = np.log(kept / (1 - kept))
    return odds


def _sigmoid(logit: np.ndarray) -> np.ndarray:
    probability: np.ndarray = 1 / (1 + np.exp(-np.clip(logit, -LARGEST_LOGIT, LARGEST_LOGIT)))
    return probability


def _numbers(values: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 5) for value in values)
