"""Pixels at the edge of a class are given to either side anew, as a small classifier learned from the image says.

A network that blurs edges errs by a pixel or two; the image itself shows where a cell ends. What decides is learned at
the end of a training run, and kept in the model file as plain numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from ..checks import InputError, check_finite, check_ndim, check_same_shape
from ..types import IGNORE, Prediction
from ._decisions import Numbers, check_numbers, decide
from ._edges import rings
from ._learning import check_scikit_learn, learn_decision, validate
from ._pixel_features import FEATURES, Place, pixel_features
from .roles import Sides, find_sides

Count = Annotated[int, Meta(ge=1)]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is decided, and how it is learned.

    Attributes:
        inside: Name of the class whose edge is tuned; "" takes the one that is left beside ``outside`` of two classes.
        outside: Name of the class at the other side; "" finds it as `find_sides` does.
        method: "svm" has the polynomial kernel of degree 3, "bayes" a normal distribution of each feature at each side,
            "logistic" a plane, "boosting" small trees.
        features: Names of `FEATURES` joined by "+".
        width_px: Pixels whose nearest one of the other side is at most so far away are decided.
        images: Largest number of training images that are learned from.
        pixels: Number of pixels drawn from each.
    """

    inside: str = ""
    outside: str = ""
    method: Literal["svm", "bayes", "logistic", "boosting"] = "svm"
    features: str = "intensity+sobel"
    width_px: Annotated[int, Meta(ge=1, le=100)] = 1
    images: Count = 200
    pixels: Count = 50


def apply(prediction: Prediction, options: Options, learned: Numbers) -> Prediction:
    """The prediction with the edge of a class decided anew; see `tune_boundary`.

    Args:
        prediction: With its image.
        options: Those that were learned with.
        learned: Numbers from `learn`.

    Raises:
        InputError: The classes do not have these sides, the image is missing, or the numbers are none for the features.
    """
    sides = find_sides(prediction.classes, inside=options.inside, outside=options.outside)
    class_map = tune_boundary(
        prediction.class_map,
        image_of(prediction),
        prediction.probabilities[sides.inside],
        learned=learned,
        sides=sides,
        features=names_of(options),
        width_px=options.width_px,
    )
    return replace(prediction, class_map=class_map)


def say(options: Options, classes: Sequence[str]) -> str:
    """What the options mean for these classes.

    Raises:
        InputError: The classes do not have these sides, or there is no such feature.
    """
    sides = find_sides(classes, inside=options.inside, outside=options.outside)
    return (
        f"pixels within {options.width_px} px of the edge between {classes[sides.inside]} and {classes[sides.outside]} "
        f"are decided anew by {', '.join(names_of(options))} ({options.method})"
    )


def check_learning() -> None:
    """Refuse to begin a training run whose end cannot learn.

    Raises:
        InputError: scikit-learn is missing.
    """
    check_scikit_learn()


def check_learned(options: Options, learned: Numbers) -> None:
    """Refuse numbers that decide nothing on these features.

    Raises:
        InputError: Saying what is wrong.
    """
    check_numbers(learned, len(names_of(options)))


def learn(
    examples: Iterable[tuple[Prediction, np.ndarray]], options: Options, *, seed: int
) -> tuple[Numbers, Mapping[str, float]]:
    """Learn from pixels at the edges of predictions of annotated images.

    Of each image so many pixels are drawn from those that `tune_boundary` would decide. Accuracies are means over ten
    draws of a fifth of the images that are held out.

    Args:
        examples: Predictions with their images, and (H, W) class maps; as many as the options say are looked at.
        options: What is learned.
        seed: Of all draws.

    Returns:
        Numbers for `apply`; and ``accuracy`` of the decision on held-out images, ``accuracy_sd`` between draws,
        ``accuracy_before`` of the network on all pixels drawn, ``pixels`` and ``images``.

    Raises:
        InputError: No pixel was drawn, or all are of one side; an image is missing, or scikit-learn is.
    """
    rng = np.random.default_rng(seed)
    rows, truth, before, groups = list[np.ndarray](), list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
    for number, (prediction, reference) in enumerate(examples):
        if number == options.images:
            break
        sides = find_sides(prediction.classes, inside=options.inside, outside=options.outside)
        class_map = np.where(reference == IGNORE, IGNORE, prediction.class_map)
        band = edge_band(class_map, sides, options.width_px)
        places = np.flatnonzero(band)
        drawn = np.sort(rng.permutation(places)[: options.pixels])
        rows.append(
            _features(names_of(options), band, drawn, image_of(prediction), prediction.probabilities[sides.inside])
        )
        truth.append(reference.ravel()[drawn] == sides.inside)
        before.append(class_map.ravel()[drawn] == sides.inside)
        groups.append(np.full(len(drawn), number))
    if not sum(len(one) for one in rows):
        raise InputError(f"no edge in the predictions of {len(rows)} images, so nothing can be learned from them")
    features, inside, of_image = np.concatenate(rows), np.concatenate(truth), np.concatenate(groups)
    learned = learn_decision(options.method, features, inside, seed=seed)
    accuracy = validate(options.method, features, inside, of_image, seed=seed)
    tried = accuracy[~np.isnan(accuracy)]
    scores = {
        "accuracy": float(tried.mean()) if tried.size else float("nan"),
        "accuracy_sd": float(tried.std()) if tried.size else float("nan"),
        "accuracy_before": float(np.mean(np.concatenate(before) == inside)),
        "pixels": float(len(inside)),
        "images": float(len(np.unique(of_image))),
    }
    return learned, scores


def tune_boundary(
    class_map: np.ndarray,
    image: np.ndarray,
    probability: np.ndarray,
    *,
    learned: Numbers,
    sides: Sides,
    features: Sequence[str] = ("intensity", "sobel"),
    width_px: int = 1,
) -> np.ndarray:
    """Decide the pixels near an edge by what the image shows there.

    All are decided at once, each by itself; features are computed at these pixels only, so that the time depends on
    the length of the edges and not on how many objects they belong to.

    Args:
        class_map: (H, W) uint8; other classes than the two sides, and pixels without annotation, never change.
        image: (C, H, W) normalized float32; channels are averaged.
        probability: (H, W) of the class inside.
        learned: Numbers of the decision, from `learn`.
        sides: Classes inside and outside.
        features: Names of `FEATURES` that were learned with, in this order.
        width_px: Pixels whose nearest one of the other side is at most so far away are decided.

    Returns:
        (H, W) uint8; the class map itself where it has no edge.

    Raises:
        InputError: shapes differ, values are not finite, there is no such feature, or the numbers decide nothing on so
            many.

    References:
        The two features and the kernel are those of the study of neuronal cells that the recipe corona2022 follows.

    Example:
        >>> image = np.array([[[0.9, 0.8, 0.7, 0.2, 0.1]]], np.float32)
        >>> bright = {"mean": (0.5,), "sd": (1.0,), "polynomial": (0.0, 1.0)}
        >>> too_small = np.array([[1, 1, 0, 0, 0]], np.uint8)
        >>> tune_boundary(too_small, image, image[0], learned=bright, sides=Sides(1, 0), features=["intensity"])
        array([[1, 1, 1, 0, 0]], dtype=uint8)
    """
    check_ndim(2, class_map=class_map, probability=probability)
    check_ndim(3, image=image)
    check_same_shape(class_map=class_map, probability=probability, image=image[0])
    check_features(features)
    check_numbers(learned, len(features))
    tuned = class_map.astype(np.uint8)
    band = edge_band(class_map, sides, width_px)
    drawn = np.flatnonzero(band)
    if not drawn.size:
        return tuned
    found = _features(features, band, drawn, image, probability)
    check_finite(features=found)
    is_inside = decide(learned, found) > 0
    tuned.ravel()[drawn] = np.where(is_inside, sides.inside, sides.outside)
    return tuned


def edge_band(class_map: np.ndarray, sides: Sides, width_px: int) -> np.ndarray:
    """Signed distance from the edge between two sides, (H, W) int8; 0 where nothing is to be decided.

    Example:
        >>> edge_band(np.array([[1, 1, 0, 0, 2, 1, 0]]), Sides(1, 0), 1)
        array([[ 0,  1, -1,  0,  0,  1, -1]], dtype=int8)
    """
    inside, outside = class_map == sides.inside, class_map == sides.outside
    band = rings(inside, width_px)
    if not (inside | outside).all():
        # An edge to a third class, or to pixels without annotation, is none between the sides.
        other = rings(outside, width_px)
        band = np.where(inside, np.where(other < 0, -other, 0), np.where(outside, band, 0))
    return band.astype(np.int8, copy=False)


def names_of(options: Options) -> tuple[str, ...]:
    """Names of the features.

    Raises:
        InputError: One that there is not, or twice the same.

    Example:
        >>> names_of(Options())
        ('intensity', 'sobel')
    """
    names = tuple(name.strip() for name in options.features.split("+"))
    check_features(names)
    return names


def check_features(names: Sequence[str]) -> None:
    """Refuse features that there are not, or that are named twice.

    Raises:
        InputError: Listing those that there are.
    """
    unknown = [name for name in names if name not in FEATURES]
    if unknown or len(set(names)) < len(names) or not names:
        raise InputError(
            f"features are {'+'.join(names) or 'none'}; expected different ones of {', '.join(FEATURES)}, joined by +"
        )


def image_of(prediction: Prediction) -> np.ndarray:
    """The image that was predicted.

    Raises:
        InputError: Nobody kept it.
    """
    if prediction.image is None:
        raise InputError("step boundary_tuning needs the image of a prediction; give it with the prediction")
    return prediction.image


def _features(
    names: Sequence[str], band: np.ndarray, drawn: np.ndarray, image: np.ndarray, probability: np.ndarray
) -> np.ndarray:
    rows, columns = np.divmod(drawn, band.shape[1])
    return pixel_features(names, Place(image, probability, band, rows, columns))
