"""`cellproof.losses.border_cross_entropy`: drawn gaps, scipy's closing, and the plain loss where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from cellproof.checks import InputError
from cellproof.losses.border_cross_entropy import gap_weights, term
from cellproof.losses.cross_entropy import cross_entropy
from cellproof.types import IGNORE


def test_only_the_narrow_gap_counts_more():
    class_map = torch.zeros(1, 7, 20, dtype=torch.uint8)
    class_map[0, :, 2:5] = class_map[0, :, 8:11] = 1  # 3 px between them
    expected = torch.ones(1, 7, 20)
    expected[0, :, 5:8] = 6.0
    torch.testing.assert_close(gap_weights(class_map, gap_px=5, border_weight=6.0), expected)
    assert (gap_weights(class_map, gap_px=3, border_weight=6.0) == 1).all()


@pytest.mark.parametrize("seed", range(4))
def test_narrow_background_is_what_a_closing_fills(seed):
    blobs = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((40, 50)), 2) > 0.05
    filled = ndimage.binary_closing(np.pad(blobs, 20), np.ones((7, 7)))[20:-20, 20:-20]
    weights = gap_weights(torch.from_numpy(blobs.astype(np.uint8))[None], gap_px=7, border_weight=3.0)
    np.testing.assert_array_equal(weights[0].numpy() == 3, filled & ~blobs)


def test_without_a_gap_it_is_the_plain_cross_entropy_and_what_is_not_annotated_has_no_say():
    logits = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    class_map = torch.zeros(1, 8, 8, dtype=torch.uint8)
    class_map[0, :, :3] = 1
    class_map[0, :, 5:] = IGNORE
    found = term(logits, class_map, class_map=class_map, class_weights=None)
    torch.testing.assert_close(found, cross_entropy(logits, class_map))


@pytest.mark.parametrize("options", [{"gap_px": 4}, {"gap_px": 1}, {"border_weight": 0.5}])
def test_impossible_options_are_refused(options):
    with pytest.raises(InputError, match="expected an odd side"):
        gap_weights(torch.zeros(1, 4, 4, dtype=torch.uint8), **options)


def test_it_compares_classes_only():
    with pytest.raises(InputError, match="use it on classes"):
        term(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4), class_map=torch.zeros(1, 4, 4), class_weights=None)
