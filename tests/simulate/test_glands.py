from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, integers
from skimage.measure import label

from cellproof.checks import InputError
from cellproof.simulate.glands import simulate_glands


def _section(seed, rows=120, columns=140, count=5, **options):
    return simulate_glands(
        rng=np.random.default_rng(seed), shape=(rows, columns), count=count, diameter_px=(24.0, 50.0), **options
    )


@settings(max_examples=12, deadline=None)
@given(
    seed=integers(0, 2**32),
    rows=integers(1, 120),
    columns=integers(1, 120),
    count=integers(0, 6),
    clumping=floats(0, 1),
    disorder=floats(0, 1),
)
def test_sections_repeat_bit_for_bit_and_their_glands_are_whole_and_numbered(**drawn):
    first, second = _section(**drawn), _section(**drawn)
    assert first.image.tobytes() == second.image.tobytes()
    np.testing.assert_array_equal(first.labels, second.labels)
    ids = np.unique(first.labels[first.labels > 0])
    np.testing.assert_array_equal(ids, np.arange(1, ids.size + 1))
    assert label(first.labels, connectivity=1, background=0).max() == ids.size <= drawn["count"]


@pytest.mark.parametrize("seed", range(3))
def test_an_orderly_gland_is_pale_in_the_middle_and_dark_at_its_rim(seed):
    section = _section(seed, count=1, rows=260, columns=260, clumping=0.0, disorder=0.0)
    inside = section.labels == 1
    rows, columns = np.nonzero(inside)
    distance = np.hypot(rows - rows.mean(), columns - columns.mean())
    light = section.image[rows, columns].mean(axis=1)
    middle, rim = light[distance < 0.2 * distance.max()].mean(), light[distance > 0.6 * distance.max()].mean()
    assert middle > 200 > rim + 30


def test_tissue_is_pink_and_nuclei_are_purple():
    section = _section(3, rows=200, columns=200)
    red, green, blue = section.image.reshape(-1, 3).astype(float).T
    dark = red + green + blue < 330
    assert red[~dark].mean() > blue[~dark].mean() > green[~dark].mean()
    assert (blue - red)[dark].mean() > (blue - red)[~dark].mean() + 15


def test_clumped_glands_touch_and_single_ones_do_not():
    def touching(clumping: float) -> int:
        labels = _section(5, rows=400, columns=400, count=14, clumping=clumping).labels
        first, second = labels[:, 1:], labels[:, :-1]
        return int(((first != second) & (first > 0) & (second > 0)).sum())

    assert touching(0.0) == 0 < touching(1.0)


def test_impossible_fields_are_refused():
    with pytest.raises(InputError, match=r"disorder is 1\.5"):
        _section(0, disorder=1.5)
