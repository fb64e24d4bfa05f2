"""`cellproof.workflows.segment.summary`: what a job says of its speed."""

from __future__ import annotations

import math

import pytest

from cellproof.workflows.segment.record import Seconds
from cellproof.workflows.segment.summary import Run


def test_speed_is_by_the_clock_although_parts_overlap_and_without_loading_the_model():
    # Results were written, for 6 s, while the next images were segmented: parts add up to 14 s of a job of 10.
    run = Run(seconds=10.0, load_seconds=2.0, pixels=16_000_000, parts=Seconds(read=1.0, network=7.0, write=6.0))
    assert run.working_seconds == pytest.approx(8.0)
    assert run.megapixels_per_s == pytest.approx(2.0)


def test_a_job_that_computed_nothing_has_no_speed():
    assert math.isnan(Run(seconds=0.1).megapixels_per_s)
