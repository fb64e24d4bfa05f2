from __future__ import annotations

import numpy as np
import pytest

from cellproof.difficulty.drift import drift_notes
from cellproof.types import IntensityStatistics

STATISTICS = IntensityStatistics(mean=(0.2, 0.5), sd=(0.05, 0.1), object_diameter_px=(10.0, 20.0, 30.0))


def test_objects_of_usual_sizes_have_no_notes():
    assert drift_notes(STATISTICS, diameters_px=np.array([5, 20, 90])) == ()


@pytest.mark.parametrize("diameters", [[4, 5, 6], [40, 50, 90]])
def test_objects_of_a_foreign_size_are_named(diameters):
    (note,) = drift_notes(STATISTICS, diameters_px=np.array(diameters))
    assert note.startswith(f"median object diameter is {diameters[1]:.1f} px")
    assert note.endswith("10.0 to 30.0 px")


def test_what_the_model_does_not_know_is_not_compared():
    assert drift_notes(IntensityStatistics(), diameters_px=np.array([1.0])) == ()
    assert drift_notes(STATISTICS, diameters_px=np.zeros(0)) == ()
