"""By which numbers a model judges its own results; kept in the header of a model file."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class LogisticModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Probability 1 / (1 + exp(-z)), z = intercept + Σ weight · x + bend · max(0, x), x = (feature - mean) / sd.

    Attributes:
        features: Names of the features.
        mean: Of each feature over the rows that it was fitted on.
        sd: Standard deviation of each; 1 for one that never changed.
        weights: Change of the log odds for one sd more of each feature.
        intercept: Log odds where every feature has its mean.
        bends: How much more they change for one sd above the mean; empty where no feature bends.
    """

    features: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    sd: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    intercept: float = 0.0
    bends: tuple[float, ...] = ()


class DeepProjection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Few numbers for the F deep features of a network: k directions, and how far an image lies beside them all.

    Attributes:
        mean: (F,) over the training images, all kinds alike.
        sd: (F,) standard deviations.
        directions: k F numbers, one direction after the other: each has length 1, and all are at right angles.
    """

    mean: tuple[float, ...]
    sd: tuple[float, ...]
    directions: tuple[float, ...]


class ImageKind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one kind of training image looks like, in d statistics.

    Attributes:
        name: Of the kind, as the data's table calls it; empty where it has none.
        images: Number of images.
        mean: (d,) of the statistics.
        whitening: d (d + 1) / 2 numbers, the lower triangle of a matrix row by row: its product with an image's
            distance from the mean has unit covariance over the kind.
        line: Distance beyond which an image is foreign to the kind.
        degraded: Means of its degraded copies, (d,) for each way to degrade; the nearest mean counts.
        gains_by_views: Whether held-out images of the kind gained accuracy by the mean of more views.
    """

    name: str
    images: int
    mean: tuple[float, ...]
    whitening: tuple[float, ...]
    line: float
    degraded: tuple[tuple[float, ...], ...] = ()
    gains_by_views: bool = False


class Promise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What accepted images keep: at most a fraction of them has an F1 below a number.

    Attributes:
        fraction: Of accepted images, in (0, 1).
        below: F1 at IoU 0.5, in (0, 1].
    """

    fraction: float
    below: float = 0.7

    def __str__(self) -> str:
        """As on a command line: ``0.03,0.7``."""
        return f"{self.fraction:g},{self.below:g}"

    @classmethod
    def parse(cls, text: str) -> Promise:
        """What `str` writes; the second number may be missing, and percents are read.

        Raises:
            ValueError: One of them is no number.
            TypeError: More than two.

        Example:
            >>> str(Promise.parse("5%")), str(Promise.parse("0.05,0.8"))
            ('0.05,0.7', '0.05,0.8')
        """
        return cls(*(float(part[:-1]) / 100 if part.endswith("%") else float(part) for part in text.split(",")))


class TrustRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers by which a model judges its own results, fitted on held-out images and degraded copies of them.

    Attributes:
        objects: Probability that an object is right, from the evidence of `difficulty.object_trust`.
        f1: Expected F1 at IoU 0.5 of an image, from the evidence of `difficulty.image_trust`.
        count_log_ratio: Log of the count of reference objects over that of objects found: intercept, then one
            coefficient for each of ``count_features``.
        count_features: Names of the evidence of images that the count is corrected by.
        count_error: Relative standard deviation of the expected count where nothing is in doubt, and how much it grows
            with 1 - expected F1.
        accept_f1: Expected F1 from which on an image is accepted.
        accept_dice: Expected Dice from which on an image is accepted.
        promise_f1: F1 below which an accepted image breaks the promise.
        promise_fraction: Largest fraction of accepted images that may.
        deep: How the network's deep features become statistics of an image; None where it gives none.
        kinds: What each kind of training image looks like.
        held_out_expected: Expected F1, out of sample, of the held-out images and copies that a promise is about: those
            like the training images, of enough expected Dice. Another promise is kept by them; empty in older files.
        held_out_true: Their true F1.
        images: Number of held-out images that all this was fitted on, copies not counted.
        metrics: How well it ranks and is calibrated out of sample, name → value.
    """

    objects: LogisticModel
    f1: LogisticModel
    count_log_ratio: tuple[float, ...]
    count_features: tuple[str, ...]
    count_error: tuple[float, float]
    accept_f1: float
    accept_dice: float
    promise_f1: float = 0.7
    promise_fraction: float = 0.03
    deep: DeepProjection | None = None
    kinds: tuple[ImageKind, ...] = ()
    held_out_expected: tuple[float, ...] = ()
    held_out_true: tuple[float, ...] = ()
    images: int = 0
    metrics: Mapping[str, float] = {}


class RoundingRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By which numbers a processor may run a model in 8-bit integers, and what that costs.

    Attributes:
        ranges: Of each network, for each convolution that is rounded: the sum of its weights' absolute values, by which
            it is known, and the lowest and highest value that its input takes.
        images: Number of images that they were measured on.
        metrics: Accuracy with and without rounding, name → value.
    """

    ranges: tuple[tuple[tuple[float, ...], ...], ...]
    images: int = 0
    metrics: Mapping[str, float] = {}
