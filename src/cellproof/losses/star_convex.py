"""Loss of star-convex polygons: cross-entropy of the object probability, and errors of the rays where it is high."""

from __future__ import annotations

from torch import Tensor

from ..types import IGNORE
from ._average import at_least_float32, weighted_mean
from .binary_cross_entropy import binary_cross_entropy


def star_convex_loss(
    outputs: Tensor, target: Tensor, *, valid: Tensor, rays: float = 0.2, background: float = 1e-4
) -> Tensor:
    """``BCE(probability) + rays × L1(lengths)``, lengths weighted by the expected probability.

    Args:
        outputs: (N, 1 + rays, H, W): the logit of the object probability, then lengths in pixels.
        target: The same shape: the object probability in [0, 1], then lengths.
        valid: (N, H, W), True where a pixel counts.
        rays: Factor on the lengths' error, whose unit is the pixel.
        background: Factor on the mean absolute length outside objects, which keeps lengths there from drifting.

    Returns:
        Scalar >= 0; 0 with zero gradient where no pixel is valid.

    References:
        Schmidt, Weigert, Broaddus, Myers (2018). Cell detection with star-convex polygons. MICCAI, section 2. The
        factors are the defaults of the authors' package. doi:10.1007/978-3-030-00934-2_30
    """
    outputs, valid = at_least_float32(outputs), valid[:, None]
    probability, lengths = target[:, :1].to(outputs), outputs[:, 1:]
    found = binary_cross_entropy(outputs[:, :1], probability, valid=valid)
    weights = (valid * probability).expand_as(lengths)
    errors = weighted_mean((lengths - target[:, 1:].to(outputs)).abs(), weights)
    outside = (valid & (probability == 0)).to(outputs).expand_as(lengths)
    return found + rays * (errors + background * weighted_mean(lengths.abs(), outside))


def term(
    outputs: Tensor,
    target: Tensor,
    *,
    class_map: Tensor,
    class_weights: Tensor | None,
    rays: float = 0.2,
    background: float = 1e-4,
) -> Tensor:
    """Star-convex polygons as a term of a recipe's loss; see `star_convex_loss`.

    Args:
        outputs: (N, 1 + rays, H, W).
        target: The same shape.
        class_map: (N, H, W), which tells the pixels without annotation.
        class_weights: Not used.
        rays: Factor on the lengths' error.
        background: Factor on lengths outside objects.
    """
    return star_convex_loss(outputs, target, valid=class_map != IGNORE, rays=rays, background=background)
