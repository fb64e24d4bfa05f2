"""Batch renormalization: batch normalization that acts alike in training and use.

A batch's own mean and variance are corrected toward the running ones by a factor r and a shift d, through which no
gradient flows. Both are clipped, at first to 1 and 0 (which is batch normalization), later wider and wider.

References:
    Ioffe (2017). Batch renormalization: toward reducing minibatch dependence in batch-normalized models. NeurIPS.
    arXiv:1702.03275
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class BatchRenorm2d(nn.Module):
    """Batch renormalization of (N, C, H, W), Algorithm 1 of Ioffe (2017).

    The number of training steps taken is a buffer, so that a resumed training continues the schedule.

    Args:
        channels: C.
        r_max: Last bound of the factor: 1 / r_max ≤ r ≤ r_max.
        d_max: Last bound of the shift: -d_max ≤ d ≤ d_max.
        warmup_steps: Training steps of plain batch normalization.
        r_steps: Step at which ``r_max`` is reached, linearly from 1 at ``warmup_steps``.
        d_steps: Step at which ``d_max`` is reached, linearly from 0.
        momentum: Weight of a new batch in the running statistics; α of the paper.
        epsilon: Added to the variance.
    """

    # Section 4.2 of the paper: r to 3 at 40k and d to 5 at 25k of 160k steps, after 5k steps of plain batch
    # normalization. The defaults are a tenth of that, as microscopy trainings have thousands of steps.
    def __init__(
        self,
        channels: int,
        *,
        r_max: float = 3.0,
        d_max: float = 5.0,
        warmup_steps: int = 500,
        r_steps: int = 4000,
        d_steps: int = 2500,
        momentum: float = 0.01,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.r_max, self.d_max = r_max, d_max
        self.warmup_steps, self.r_steps, self.d_steps = warmup_steps, r_steps, d_steps
        self.momentum, self.epsilon = momentum, epsilon
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.running_mean: torch.Tensor
        self.running_sd: torch.Tensor
        self.steps: torch.Tensor
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_sd", torch.ones(channels))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def bounds(self) -> tuple[float, float]:
        """Bounds of r and d at the present step."""
        steps = int(self.steps)
        r_share = _ramp(steps, self.warmup_steps, self.r_steps)
        d_share = _ramp(steps, self.warmup_steps, self.d_steps)
        return 1 + r_share * (self.r_max - 1), d_share * self.d_max

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
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_sd.lerp_(sd.to(self.running_sd.dtype), self.momentum)
            self.steps.add_(1)
        return factor, shift


def _ramp(step: int, start: int, stop: int) -> float:
    """0 up to ``start``, 1 from ``stop``, linear between."""
    if step >= stop:
        return 1.0
    return max(0.0, (step - start) / (stop - start))
