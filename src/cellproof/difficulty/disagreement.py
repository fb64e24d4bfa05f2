"""How far predictions of the same pixels differ: views of one image, or the networks of an ensemble.

The generalized Jensen-Shannon divergence of V predictions is the entropy of their mean less the mean of their
entropies. It is the mutual information between the predicted class and the number of the prediction: what a pixel's
class would tell about which prediction was asked. Noise that all predictions agree about does not count.

References:
    Lin (1991). Divergence measures based on the Shannon entropy. IEEE Transactions on Information Theory 37(1),
    145-151, eq. 5.1. doi:10.1109/18.61115
    Houlsby, Huszár, Ghahramani, Lengyel (2011). Bayesian active learning for classification and preference
    learning. arXiv:1112.5745 (as the uncertainty of an ensemble).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..checks import InputError, check_same_shape
from .confidence import entropy


class Disagreement:
    """Running sums over predictions, so that only one need be in memory."""

    def __init__(self) -> None:
        self.count = 0
        self._dtype = np.dtype(np.float32)
        # Double precision: the divergence is a small difference of two entropies wherever the predictions agree.
        self._total = np.zeros(0)
        self._entropies = np.zeros(0)

    def add(self, probabilities: np.ndarray) -> None:
        """Take one more prediction.

        Args:
            probabilities: (C, H, W), C at least 2, summing to 1 over classes.

        Raises:
            InputError: the values are no probabilities, or the shape is not that of those before.
        """
        if self.count:
            check_same_shape(prediction=probabilities, those_before=self._total)
        exact = probabilities.astype(np.float64)
        own = entropy(exact)
        self._total = self._total + exact if self.count else exact
        self._entropies = self._entropies + own if self.count else own
        self._dtype = probabilities.dtype
        self.count += 1

    def mean(self) -> np.ndarray:
        """(C, H, W) mean of the predictions, in the dtype of the last.

        Raises:
            InputError: there was no prediction.
        """
        return self._mean().astype(self._dtype)

    def result(self) -> np.ndarray:
        """Divergence of the predictions, divided by the largest that V predictions of C classes may have.

        Returns:
            (H, W) in the dtype of the last prediction, in [0, 1]: 0 where all agree, as for a single prediction;
            1 where each is sure and as many different classes are named, equally often, as log min(V, C) allows.

        Raises:
            InputError: there was no prediction.
        """
        mean = self._mean()
        if self.count == 1:
            return np.zeros(mean.shape[1:], self._dtype)
        # `entropy` is in units of log C.
        unit = math.log(len(mean)) / math.log(min(self.count, len(mean)))
        divergence = (entropy(mean) - self._entropies / self.count) * unit
        return np.clip(divergence, 0, 1).astype(self._dtype)

    def _mean(self) -> np.ndarray:
        if not self.count:
            raise InputError("got no prediction; disagreement wants at least one, and two to differ from 0")
        mean: np.ndarray = self._total / self.count
        return mean


def disagreement(predictions: Iterable[np.ndarray]) -> np.ndarray:
    """Disagreement of predictions of the same image, in whatever order.

    Args:
        predictions: (V, C, H, W), or V times (C, H, W) that are taken one after the other; of views, each brought
            back to where the image lay.

    Returns:
        (H, W) in [0, 1], as `Disagreement.result` says.

    Raises:
        InputError: no prediction, different shapes, or values that are no probabilities.
    """
    sums = Disagreement()
    for probabilities in predictions:
        sums.add(probabilities)
    return sums.result()


class Poll:
    """Disagreement between the networks of an ensemble, and between the views that each was shown.

    A network's say is the mean over its views. Before they are divided by their largest values, the divergence
    between networks and the mean divergence between views add up to that of all runs.
    """

    def __init__(self) -> None:
        self._members = Disagreement()
        self._views = Disagreement()
        self._between_views = np.zeros(0)
        self._asked = 0
        self._next = 0

    def add(self, member: int, probabilities: np.ndarray) -> None:
        """Take what a network says of a view.

        Args:
            member: Number of the network, from 0 on; all views of a network come in succession.
            probabilities: (C, H, W), summing to 1 over classes, on the grid of the image.

        Raises:
            InputError: the network's views were counted already, or as in `Disagreement.add`.
        """
        if member != self._asked:
            self._count_member()
            self._asked = member
        if member < self._next:
            raise InputError(
                f"a view of member {member} came after its views were counted; give all views of a member in "
                "succession, members from 0 on, and ask for results after the last"
            )
        self._views.add(probabilities)

    def between_views(self) -> np.ndarray:
        """(H, W) in [0, 1]: mean over networks of the disagreement between views; 0 for a single view.

        Raises:
            InputError: nothing was added.
        """
        self._count_member()
        if not self._members.count:
            raise InputError("nobody was asked: add predictions before asking how far they differ")
        mean: np.ndarray = self._between_views / self._between_views.dtype.type(self._members.count)
        return mean

    def between_members(self) -> np.ndarray:
        """(H, W) in [0, 1]: disagreement between networks; 0 for a single network.

        Raises:
            InputError: nothing was added.
        """
        self._count_member()
        return self._members.result()

    def _count_member(self) -> None:
        """Let the network whose views came last have its say among the members."""
        if not self._views.count:
            return
        own = self._views.result()
        self._between_views = self._between_views + own if self._members.count else own
        self._members.add(self._views.mean())
        self._views = Disagreement()
        self._next = self._asked + 1
