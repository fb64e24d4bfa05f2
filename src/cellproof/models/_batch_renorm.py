"""Batch renormalization: batch normalization that acts alike in training and use.

A batch's own mean and variance are corrected toward the running ones by a factor r and a shift d, through which no
gradient flows. Both are clipped, at first to 1 and 0 (which is batch normalization), later wider and wider. How wide
depends on how much of the training is done, so that short trainings get there, too.

References:
    Ioffe (2017). Batch renormalization: toward reducing minibatch dependence in batch-normalized models. NeurIPS.
    arXiv:1702.03275
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

USUAL_STEPS = 5000
"""Length of a training in which no one tells the layer how much is done."""

MEMORY = 0.1
"""The running statistics average over so large a part of the steps so far, until ``1 / momentum`` steps are less."""


class BatchRenorm2d(nn.Module):
    """Batch renormalization of (N, C, H, W), Algorithm 1 of Ioffe (2017).

    Whoever trains calls `tell_progress` before each step; else the steps taken are counted against `USUAL_STEPS`. They
    are a buffer, so that a resumed training continues where it was.

    Args:
        channels: C.
        r_max: Last bound of the factor: 1 / r_max ≤ r ≤ r_max.
        d_max: Last bound of the shift: -d_max ≤ d ≤ d_max.
        warmup: Fraction of the training with plain batch normalization.
        r_ramp: Fraction at which ``r_max`` is reached, linearly from 1 at ``warmup``.
        d_ramp: Fraction at which ``d_max`` is reached, linearly from 0.
        momentum: Least weight of a new batch in the running statistics; α of the paper. The first batches weigh more
            (`MEMORY`), so that nothing is left of the values that the statistics start with.
        epsilon: Added to the variance.
    """

    # Section 4.2 of the paper: r to 3 at 40k and d to 5 at 25k of 160k steps, after 5k steps of plain batch
    # normalization, which is 50 times what its running statistics remember. A like fraction of a few hundred
    # steps would
    # be over before they have settled: everything takes three times as large a fraction here.
    def __init__(
        self,
        channels: int,
        *,
        r_max: float = 3.0,
        d_max: float = 5.0,
        warmup: float = 0.1,
        r_ramp: float = 0.8,
        d_ramp: float = 0.5,
        momentum: float = 0.01,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.r_max, self.d_max = r_max, d_max
        self.warmup, self.r_ramp, self.d_ramp = warmup, r_ramp, d_ramp
        self.progress: float | None = None
        self.momentum, self.epsilon = momentum, epsilon
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.running_mean: torch.Tensor
        self.running_sd: torch.Tensor
        self.steps: torch.Tensor
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_sd", torch.ones(channels))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def tell_progress(self, fraction: float) -> None:
        """Say how much of the training is done, in [0, 1]."""
        self.progress = fraction

    def bounds(self) -> tuple[float, float]:
        """Bounds of r and d at the present step."""
        done = int(self.steps) / USUAL_STEPS if self.progress is None else self.progress
        r_part = _ramp(done, self.warmup, self.r_ramp)
        d_part = _ramp(done, self.warmup, self.d_ramp)
        return 1 + r_part * (self.r_max - 1), d_part * self.d_max

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Normalized features, in their own dtype."""
        if not self.training:
            return functional.batch_norm(
                features, self.running_mean, self.running_sd**2, self.weight, self.bias, eps=0.0
            )
        # Variances of half-precision features are summed in single precision.
        single = features if features.dtype == torch.float64 else features.float()
        mean = single.mean((0, 2, 3))
        sd = (single.var((0, 2, 3), unbiased=False) + self.epsilon).sqrt()
        factor, shift = self._correct(mean.detach(), sd.detach())
        scale = self.weight * factor / sd
        offset = self.bias + self.weight * shift - mean * scale
        return (single * scale[:, None, None] + offset[:, None, None]).to(features.dtype)

    def _correct(self, mean: torch.Tensor, sd: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Factor r and shift d of a batch; then move the running statistics and count the step."""
        r_bound, d_bound = self.bounds()
        factor = (sd / self.running_sd).clamp(1 / r_bound, r_bound)
        shift = ((mean - self.running_mean) / self.running_sd).clamp(-d_bound, d_bound)
        # 1 at the first step, and nearly 1 / (MEMORY · steps) later.
        weight = max(self.momentum, 1 / (1 + MEMORY * int(self.steps)))
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
            self.running_sd.lerp_(sd.to(self.running_sd.dtype), weight)
            self.steps.add_(1)
        return factor, shift


def _ramp(done: float, start: float, stop: float) -> float:
    """0 up to ``start``, 1 from ``stop``, linear between."""
    if done >= stop:
        return 1.0
    return max(0.0, (done - start) / (stop - start))
