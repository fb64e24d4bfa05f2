"""Arithmetic of the memory budget."""

from __future__ import annotations

import pytest

from cellproof.checks import InputError
from cellproof.inference.budget import window_pixels
from cellproof.types import Heads


def test_memory_beyond_the_program_and_the_image_goes_to_the_window() -> None:
    # 450 MB resident; 3 + 2 float32 channels of 10 million pixels are 200 MB; 350 MB are left for 500 bytes a pixel
    budget = window_pixels(10**9, shape=(3, 2500, 4000), heads=Heads(classes=2), bytes_per_pixel=500)
    assert budget == 700_000


def test_an_image_beyond_the_budget_is_refused() -> None:
    with pytest.raises(InputError, match=r"0\.50 GB of memory were allowed.* take 0\.65 GB before any window"):
        window_pixels(5 * 10**8, shape=(3, 2500, 4000), heads=Heads(classes=2), bytes_per_pixel=500)
