"""How large a fraction may truly be that was counted in few trials."""

from __future__ import annotations

from scipy.special import betaincinv

from ..checks import InputError


def upper_bound(hits: int, trials: int, *, confidence: float = 0.95) -> float:
    """One-sided upper confidence bound of a fraction, exact (Clopper and Pearson).

    Args:
        hits: Number of hits, 0…trials.
        trials: Number of trials.
        confidence: In (0, 1): how often the bound lies above the true fraction, at least.

    Returns:
        A fraction in [0, 1]; 1 where every trial was a hit, and without any trial.

    Raises:
        InputError: Hits outside of 0…trials, or a confidence outside of (0, 1).

    References:
        Clopper, Pearson (1934). The use of confidence or fiducial limits illustrated in the case of the binomial.
        Biometrika 26(4), 404-413. doi:10.1093/biomet/26.4.404

    Examples:
        >>> round(upper_bound(0, 30), 3)
        0.095
    """
    if not 0 <= hits <= trials:
        raise InputError(f"{hits} hits of {trials} trials; expected 0 to {trials}")
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence:g}; expected a number between 0 and 1")
    return 1.0 if hits == trials else float(betaincinv(hits + 1, trials - hits, confidence))
