"""`cellproof.losses.focal`: the paper's formula, and cross-entropy where it focuses on nothing."""

from __future__ import annotations

import pytest
import torch

from cellproof.checks import InputError
from cellproof.losses.cross_entropy import cross_entropy
from cellproof.losses.focal import term


def test_known_pixels_lose_weight_as_in_the_paper():
    # Section 3.2: at gamma = 2, P = 0.9 has 100 times lower loss than cross-entropy, P ≈ 0.968 1000 times lower.
    probability = torch.tensor([0.9, 0.968, 0.5], dtype=torch.float64)
    outputs = torch.stack([torch.zeros(3), torch.log(probability / (1 - probability))])[None, :, None]
    for place, factor in enumerate((100, 977, 4)):
        class_map = torch.full((1, 1, 3), 255)
        class_map[0, 0, place] = 1
        told = {"class_map": class_map, "class_weights": None}
        plain, focused = (term(outputs, class_map, gamma=gamma, **told).item() for gamma in (0.0, 2.0))
        assert plain / focused == pytest.approx(factor, rel=1e-3)


def test_without_focus_it_is_the_weighted_cross_entropy():
    outputs = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    class_map = torch.randint(0, 3, (2, 5, 5), generator=torch.Generator().manual_seed(1))
    class_map[0, 0] = 255
    for weights in (None, torch.tensor([1.0, 4.0, 0.5])):
        found = term(outputs, class_map, class_map=class_map, class_weights=weights, gamma=0.0)
        torch.testing.assert_close(found, cross_entropy(outputs, class_map, class_weights=weights))


def test_a_negative_gamma_is_refused():
    class_map = torch.zeros(1, 1, 1)
    with pytest.raises(InputError, match=r"gamma is -1\.0, expected a number from 0"):
        term(torch.zeros(1, 2, 1, 1), class_map, class_map=class_map, class_weights=None, gamma=-1.0)
