"""Laws of the windows' shares."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cellproof.inference.blend import cores, fades, ramps
from cellproof.inference.tiles import plan_tiles, round_up, spans


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    halo_px=st.integers(0, 9),
    stride_px=st.sampled_from([1, 3, 8]),
    spare=st.integers(0, 30),
)
@settings(max_examples=40, deadline=None)
def test_weights_sum_to_one_on_every_pixel(height: int, width: int, halo_px: int, stride_px: int, spare: int) -> None:
    budget = (2 * round_up(halo_px, stride_px) + stride_px + spare) ** 2
    plan = plan_tiles((height, width), halo_px=halo_px, stride_px=stride_px, max_pixels=budget)
    for shares in (cores(plan), fades(plan)):
        total = np.zeros(plan.shape)
        for share in shares:
            total[share.rows, share.columns] += 1 if share.weights is None else share.weights
        np.testing.assert_allclose(total, 1, atol=1e-6)


def test_a_single_window_has_weight_one() -> None:
    (weights,) = ramps(spans(10, window_px=16, halo_px=4, stride_px=4), length_px=10)
    assert weights.tolist() == [1.0] * 10


def test_two_windows_cross_over_linearly_in_their_overlap() -> None:
    first, second = ramps(spans(12, window_px=8, halo_px=0, stride_px=4), length_px=12)
    np.testing.assert_allclose(first, [1, 1, 1, 1, 0.875, 0.625, 0.375, 0.125], atol=1e-7)
    np.testing.assert_allclose(second, first[::-1], atol=1e-7)


def test_a_share_is_the_same_place_in_image_and_window(rng: np.random.Generator) -> None:
    image = rng.random((60, 40))
    plan = plan_tiles(image.shape, halo_px=4, stride_px=4, max_pixels=500)
    assert len(plan) > 1
    for share in (*cores(plan), *fades(plan)):
        window = image[share.tile.row.read, share.tile.column.read]
        assert (window[share.in_window] == image[share.rows, share.columns]).all()
