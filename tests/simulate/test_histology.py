from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, integers
from skimage.measure import label

from cellproof.checks import InputError
from cellproof.simulate.histology import simulate_histology


def _section(seed, rows=90, columns=110, count=15, **options):
    return simulate_histology(
        rng=np.random.default_rng(seed), shape=(rows, columns), count=count, diameter_px=(10.0, 20.0), **options
    )


@settings(max_examples=20, deadline=None)
@given(
    seed=integers(0, 2**32),
    rows=integers(1, 100),
    columns=integers(1, 100),
    count=integers(0, 20),
    clumping=floats(0, 1),
    gap_share=floats(0, 0.9),
)
def test_sections_repeat_bit_for_bit_and_their_nuclei_are_whole_and_numbered(**drawn):
    first, second = _section(**drawn), _section(**drawn)
    assert first.image.tobytes() == second.image.tobytes()
    np.testing.assert_array_equal(first.labels, second.labels)
    ids = np.unique(first.labels[first.labels > 0])
    np.testing.assert_array_equal(ids, np.arange(1, ids.size + 1))
    assert label(first.labels, connectivity=1, background=0).max() == ids.size <= drawn["count"]


@pytest.mark.parametrize("seed", range(4))
def test_nuclei_are_darker_and_bluer_than_the_tissue(seed):
    section = _section(seed, gap_share=0.0)
    color = section.image.astype(float)
    inside = section.labels > 0
    assert color[inside].mean() < color[~inside].mean() - 30
    blue_over_red = color[..., 2] - color[..., 0]
    assert blue_over_red[inside].mean() > blue_over_red[~inside].mean() + 10


def test_the_gap_share_is_nearly_white():
    section = _section(2, rows=200, columns=200, count=0, gap_share=0.3)
    white = (section.image > 215).all(axis=2)
    assert white.mean() == pytest.approx(0.3, abs=0.05)


def test_nuclei_stain_the_section_only_where_asked():
    section = _section(2, count=0)
    assert not section.labels.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"gap_share": 1.0}, "gap_share is 1.0"), ({"count": -3}, "count is -3"), ({"clumping": -0.1}, "clumping is")],
)
def test_impossible_sections_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        _section(0, **options)
