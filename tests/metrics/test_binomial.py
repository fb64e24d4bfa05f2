from __future__ import annotations

import pytest
from scipy.stats import binom, binomtest

from cellproof.checks import InputError
from cellproof.metrics.binomial import upper_bound


@pytest.mark.parametrize(("hits", "trials"), [(0, 1), (0, 30), (3, 40), (7, 8), (19, 200)])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
def test_the_bound_is_that_of_scipy(hits, trials, confidence):
    test = binomtest(hits, trials, alternative="less")
    assert upper_bound(hits, trials, confidence=confidence) == pytest.approx(
        test.proportion_ci(confidence, method="exact").high
    )


def test_at_the_bound_so_few_hits_are_just_as_rare_as_said():
    assert binom.cdf(3, 40, upper_bound(3, 40, confidence=0.9)) == pytest.approx(0.1)


def test_nothing_is_known_without_trials():
    assert upper_bound(0, 0) == upper_bound(5, 5) == 1


@pytest.mark.parametrize(("hits", "trials", "confidence"), [(3, 2, 0.9), (-1, 2, 0.9), (1, 2, 0), (1, 2, 1)])
def test_what_is_no_count_or_confidence_is_refused(hits, trials, confidence):
    with pytest.raises(InputError):
        upper_bound(hits, trials, confidence=confidence)
