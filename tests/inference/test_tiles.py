"""Laws of the tiling's geometry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellproof.checks import InputError
from cellproof.inference.tiles import Plan, Span, plan_tiles, round_up, spans

PLANS = st.builds(
    lambda height, width, halo, stride, spare: plan_tiles(
        (height, width), halo_px=halo, stride_px=stride, max_pixels=(2 * round_up(halo, stride) + stride + spare) ** 2
    ),
    st.integers(1, 200),
    st.integers(1, 200),
    st.integers(0, 20),
    st.sampled_from([1, 3, 4, 16]),
    st.integers(0, 60),
)


@given(plan=PLANS)
@settings(max_examples=60, deadline=None)
def test_cores_partition_the_image(plan: Plan) -> None:
    owners = np.zeros(plan.shape, int)
    for tile in plan:
        owners[tile.row.core, tile.column.core] += 1
    assert (owners == 1).all()
    assert len(plan) == len(list(plan))


@given(length_px=st.integers(1, 300), cores=st.integers(1, 8), halo_px=st.integers(0, 30), stride_px=st.integers(1, 16))
@settings(max_examples=100, deadline=None)
def test_windows_are_alike_aligned_and_keep_the_halo(length_px: int, cores: int, halo_px: int, stride_px: int) -> None:
    window_px = 2 * round_up(halo_px, stride_px) + cores * stride_px
    padded_px = round_up(length_px, stride_px)
    result = spans(length_px, window_px=window_px, halo_px=halo_px, stride_px=stride_px)
    assert {span.read.stop - span.read.start for span in result} == {min(window_px, padded_px)}
    assert [span.core.start for span in result[1:]] == [span.core.stop for span in result[:-1]]
    for span in result:
        assert span.read.start % stride_px == 0
        assert span.core.stop > span.core.start
        assert span.read.start == 0 or span.core.start - span.read.start >= halo_px
        assert span.read.stop == padded_px or span.read.stop - span.core.stop >= halo_px
        assert span.in_read(span.core).stop - span.in_read(span.core).start == span.core.stop - span.core.start


def test_a_square_image_becomes_four_equal_windows() -> None:
    plan = plan_tiles((2048, 2048), halo_px=100, stride_px=16, max_pixels=1_500_000)
    assert (
        plan.rows
        == plan.columns
        == (
            Span(read=slice(0, 1136), core=slice(0, 1024)),
            Span(read=slice(912, 2048), core=slice(1024, 2048)),
        )
    )


def test_an_image_within_the_budget_is_one_window_padded_to_the_stride() -> None:
    plan = plan_tiles((1388, 1040), halo_px=100, stride_px=16, max_pixels=1_500_000)
    assert plan.rows == (Span(read=slice(0, 1392), core=slice(0, 1388)),)
    assert plan.columns == (Span(read=slice(0, 1040), core=slice(0, 1040)),)


def test_windows_are_no_smaller_than_they_need_be() -> None:
    assert len(plan_tiles((64, 64), halo_px=0, stride_px=4, max_pixels=64 * 64)) == 1


@given(height=st.integers(1, 60), width=st.integers(1, 60), halo=st.integers(0, 6), budget=st.integers(400, 1600))
@settings(max_examples=30, deadline=None)
def test_no_other_windows_within_the_budget_read_fewer_pixels(height: int, width: int, halo: int, budget: int) -> None:
    plan = plan_tiles((height, width), halo_px=halo, stride_px=4, max_pixels=budget)
    window = (plan.rows[0].read.stop, plan.columns[0].read.stop)
    smallest = 2 * round_up(halo, 4) + 4

    def windows(length_px: int) -> dict[int, int]:
        lengths = range(min(smallest, round_up(length_px, 4)), round_up(length_px, 4) + 1, 4)
        return {px: len(spans(length_px, window_px=px, halo_px=halo, stride_px=4)) for px in lengths}

    costs = [
        down * across * row_px * column_px
        for row_px, down in windows(height).items()
        for column_px, across in windows(width).items()
        if row_px * column_px <= budget
    ]
    assert window[0] * window[1] <= budget
    assert len(plan) * window[0] * window[1] == min(costs)


def test_a_budget_below_the_receptive_field_is_refused() -> None:
    with pytest.raises(InputError, match=r"may have 1000 pixels, but the smallest .* has 57600; allow more memory"):
        plan_tiles((2048, 2048), halo_px=100, stride_px=16, max_pixels=1000)


@pytest.mark.parametrize(
    ("shape", "halo_px", "stride_px"),
    [((0, 5), 1, 1), ((5, 5), -1, 1), ((5, 5), 1, 0)],
    ids=["empty", "halo", "stride"],
)
def test_impossible_geometry_is_refused(shape: tuple[int, int], halo_px: int, stride_px: int) -> None:
    with pytest.raises(InputError, match="cannot tile"):
        plan_tiles(shape, halo_px=halo_px, stride_px=stride_px, max_pixels=10**6)


def test_a_window_without_a_core_is_refused_with_one_that_has() -> None:
    with pytest.raises(InputError, match="use window_px=36"):
        spans(100, window_px=32, halo_px=16, stride_px=4)
