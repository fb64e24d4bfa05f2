"""Decisions between two sides are learned with scikit-learn, and kept as plain numbers.

scikit-learn is imported here alone and only to learn; what was learned is used without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..checks import InputError
from ._decisions import DEPTH, INNER, LEAVES, decide, polynomial_numbers

TREES = 60

HELD_OUT = 0.2

ROUNDS = 10


def check_scikit_learn() -> None:
    """Refuse to go on where scikit-learn is missing.

    Raises:
        InputError: Saying how to install it.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise InputError(
            "step boundary_tuning learns with scikit-learn, which is not installed; pip install scikit-learn, or leave "
            "the step out"
        ) from error


def learn_decision(method: str, features: np.ndarray, inside: np.ndarray, *, seed: int) -> dict[str, tuple[float, ...]]:
    """Learn to tell two sides apart.

    Args:
        method: One of `METHODS`.
        features: (n, d) float32, finite.
        inside: (n,) bool; both values occur.
        seed: Of what the method draws.

    Returns:
        Numbers for `decide`.

    Raises:
        InputError: All rows are of one side, or scikit-learn is missing.
    """
    check_scikit_learn()
    if inside.all() or not inside.any():
        side = "inside" if inside.any() else "outside"
        raise InputError(f"all {len(inside)} boundary pixels are {side}, so nothing can be learned from them")
    return METHODS[method](features, inside, seed)


def validate(
    method: str, features: np.ndarray, inside: np.ndarray, groups: np.ndarray, *, seed: int, rounds: int = ROUNDS
) -> np.ndarray:
    """Accuracy on images that were held out, a fifth of them, drawn anew in every round.

    Args:
        method: One of `METHODS`.
        features: (n, d) float32.
        inside: (n,) bool.
        groups: (n,) number of the image of each row.
        seed: Of the draws.
        rounds: Number of draws.

    Returns:
        (rounds,) fractions; NaN for a round that leaves rows of one side only to learn from, or none to try.
    """
    rng = np.random.default_rng(seed)
    images = np.unique(groups)
    found = np.full(rounds, np.nan)
    for number in range(rounds):
        out = np.isin(groups, rng.permutation(images)[: max(1, round(HELD_OUT * len(images)))])
        taught = inside[~out]
        if not out.any() or not taught.any() or taught.all():
            continue
        numbers = learn_decision(method, features[~out], taught, seed=seed)
        found[number] = np.mean((decide(numbers, features[out]) > 0) == inside[out])
    return found


def standardized(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of mean 0 and standard deviation 1, their means, and their deviations; 1 for one that never changes."""
    mean, sd = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    sd[sd <= 0] = 1
    return (features - mean) / sd, mean, sd


def make_svm() -> Any:
    """Support vectors with the polynomial kernel of degree 3, all lower degrees included."""
    from sklearn.svm import SVC

    return SVC(kernel="poly", degree=3, gamma="scale", coef0=1.0, C=1.0, cache_size=500)


def make_boosting(seed: int) -> Any:
    """Gradient boosting by trees of `DEPTH` levels."""
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(n_estimators=TREES, max_depth=DEPTH, learning_rate=0.1, random_state=seed)


def svm_numbers(model: Any, mean: np.ndarray, sd: np.ndarray) -> dict[str, tuple[float, ...]]:
    """Numbers of a fitted SVC with a polynomial kernel of degree 3 on standardized features.

    With x' = (1, x) the kernel (γ s·x + r)³ is ((r, γ s)·x')³, so that the sum over all support vectors s is one tensor
    that x' is multiplied with three times; evaluating it does not depend on their number.
    """
    vectors = np.asarray(model.support_vectors_, np.float64)
    own = np.column_stack([np.full(len(vectors), model.coef0), model._gamma * vectors])
    tensor = np.einsum("s,si,sj,sk->ijk", model.dual_coef_[0], own, own, own, optimize=True)
    tensor[0, 0, 0] += model.intercept_[0]
    return polynomial_numbers(tensor, mean, sd)


def _svm(features: np.ndarray, inside: np.ndarray, seed: int) -> dict[str, tuple[float, ...]]:
    scaled, mean, sd = standardized(features)
    return svm_numbers(make_svm().fit(scaled, inside), mean, sd)


def bayes_numbers(model: Any, mean: np.ndarray, sd: np.ndarray) -> dict[str, tuple[float, ...]]:
    """Numbers of a fitted GaussianNB on standardized features: the log odds, a polynomial of degree 2."""
    of_class, spread = np.asarray(model.theta_), np.asarray(model.var_)
    signs = np.array([-1.0, 1.0])[:, None]
    tensor = np.diag(np.concatenate([[0.0], (-signs / (2 * spread)).sum(axis=0)]))
    tensor[0, 1:] = (signs * of_class / spread).sum(axis=0)
    constants = -0.5 * np.log(spread) - of_class**2 / (2 * spread)
    tensor[0, 0] = float((signs * constants).sum() + np.log(model.class_prior_[1] / model.class_prior_[0]))
    return polynomial_numbers(tensor, mean, sd)


def _bayes(features: np.ndarray, inside: np.ndarray, seed: int) -> dict[str, tuple[float, ...]]:
    from sklearn.naive_bayes import GaussianNB

    scaled, mean, sd = standardized(features)
    return bayes_numbers(GaussianNB().fit(scaled, inside), mean, sd)


def _logistic(features: np.ndarray, inside: np.ndarray, seed: int) -> dict[str, tuple[float, ...]]:
    from sklearn.linear_model import LogisticRegression

    scaled, mean, sd = standardized(features)
    model = LogisticRegression().fit(scaled, inside)
    return polynomial_numbers(np.concatenate([model.intercept_, model.coef_[0]]), mean, sd)


def boosting_numbers(model: Any, inside: np.ndarray) -> dict[str, tuple[float, ...]]:
    """Numbers of a fitted GradientBoostingClassifier of trees of at most `DEPTH` levels.

    Args:
        model: Fitted.
        inside: What it was fitted to, whose log odds it begins with.
    """
    numbers: dict[str, list[float]] = {"tree_feature": [], "tree_threshold": [], "tree_value": []}
    for estimator in model.estimators_[:, 0]:
        nodes, leaves = _complete(estimator.tree_)
        numbers["tree_feature"] += [float(feature) for feature, _ in nodes]
        numbers["tree_threshold"] += [threshold for _, threshold in nodes]
        numbers["tree_value"] += [model.learning_rate * value for value in leaves]
    fraction = float(np.mean(inside))
    return {"base": (float(np.log(fraction / (1 - fraction))),)} | {k: tuple(v) for k, v in numbers.items()}


def _complete(tree: Any) -> tuple[list[tuple[int, float]], list[float]]:
    """Feature and threshold of the inner nodes of a complete tree, breadth first, and values of its leaves.

    Below a leaf that comes early nothing is asked, and both sides have its value.
    """
    level, nodes = [0], list[tuple[int, float]]()
    for _ in range(DEPTH):
        below = []
        for node in level:
            left, right = int(tree.children_left[node]), int(tree.children_right[node])
            is_leaf = left < 0
            nodes.append((0, 0.0) if is_leaf else (int(tree.feature[node]), float(tree.threshold[node])))
            below += [node, node] if is_leaf else [left, right]
        level = below
    assert (len(nodes), len(level)) == (INNER, LEAVES)
    return nodes, [float(tree.value[node, 0, 0]) for node in level]


def _boosting(features: np.ndarray, inside: np.ndarray, seed: int) -> dict[str, tuple[float, ...]]:
    return boosting_numbers(make_boosting(seed).fit(features, inside), inside)


METHODS: Mapping[str, Callable[[np.ndarray, np.ndarray, int], dict[str, tuple[float, ...]]]] = {
    "svm": _svm,
    "bayes": _bayes,
    "logistic": _logistic,
    "boosting": _boosting,
}
"""Name → function from features, sides and seed to numbers for `decide`."""
