from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cellproof.instances.pointers import follow_pointers


@settings(max_examples=30, deadline=None)
@given(
    pointers=st.integers(1, 30).flatmap(lambda n: arrays.arrays(np.int32, n, elements=st.integers(0, n - 1))),
    doublings=st.integers(0, 5),
)
def test_doubling_equals_hopping_one_by_one(pointers, doublings):
    expected = np.arange(pointers.size)
    for _ in range(2**doublings):
        expected = pointers[expected]
    np.testing.assert_array_equal(follow_pointers(pointers, doublings=doublings), expected)


def test_a_chain_ends_at_its_last_link():
    chain = np.minimum(np.arange(100) + 1, 99)
    assert (follow_pointers(chain, doublings=7) == 99).all()
