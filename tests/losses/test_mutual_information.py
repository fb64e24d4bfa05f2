"""`cellproof.losses.mutual_information`: against another library, and what it is at its ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cellproof.checks import InputError
from cellproof.losses.mutual_information import missing_information, term

CLUSTERS = 3
LABELS = arrays(np.int64, (2, 4, 5), elements=st.integers(0, CLUSTERS - 1))


def logits(labels):
    """Logits so far apart that the softmax is 0 and 1."""
    return 200.0 * torch.nn.functional.one_hot(torch.from_numpy(labels), CLUSTERS).movedim(-1, 1).double()


def entropies(joint):
    """Mutual information of a table of probabilities, as a sum of entropies."""

    def entropy(table):
        return -sum(p * math.log(p) for p in np.ravel(table) if p > 0)

    return entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint)


@given(first=LABELS, second=LABELS)
@settings(max_examples=30, deadline=None)
def test_what_is_missing_is_the_information_between_two_clusterings(first, second):
    joint = np.zeros((CLUSTERS, CLUSTERS))
    np.add.at(joint, (first.ravel(), second.ravel()), 1 / first.size)
    known = entropies((joint + joint.T) / 2)
    found = missing_information(logits(first), logits(second), torch.ones(first.shape)).item()
    assert found == pytest.approx(math.log(CLUSTERS) - known, abs=1e-9)


def test_one_cluster_for_all_tells_nothing_and_equal_ones_tell_all():
    everywhere = torch.ones(1, 2, 3)
    alone = logits(np.zeros((1, 2, 3), np.int64))
    assert missing_information(alone, alone, everywhere).item() == pytest.approx(math.log(CLUSTERS))
    even = logits(np.array([[[0, 1, 2], [2, 1, 0]]]))
    assert missing_information(even, even, everywhere).item() == pytest.approx(0, abs=1e-9)
    # Names of clusters do not matter as long as both views agree.
    other = even[:, [2, 0, 1]]
    assert missing_information(other, other, everywhere).item() == pytest.approx(0, abs=1e-9)


def test_gradient_descent_leaves_the_trivial_answer():
    image = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    layer = torch.nn.Conv2d(1, CLUSTERS, 1)
    torch.nn.init.normal_(layer.weight, std=0.01, generator=torch.Generator().manual_seed(1))
    torch.nn.init.zeros_(layer.bias)
    optimizer = torch.optim.Adam(layer.parameters(), 0.1)
    for _ in range(150):
        optimizer.zero_grad()
        loss = missing_information(layer(image), layer(image), torch.ones(2, 8, 8))
        loss.backward()
        optimizer.step()
    shares = layer(image).argmax(dim=1).flatten().bincount(minlength=CLUSTERS) / image.numel()
    assert loss.item() < 0.7 < math.log(CLUSTERS)
    assert shares.max() < 0.6


def test_a_class_map_is_no_second_view():
    with pytest.raises(InputError, match="compares two views of an image; use it on views"):
        term(torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2), class_map=torch.zeros(1, 2, 2), class_weights=None)
