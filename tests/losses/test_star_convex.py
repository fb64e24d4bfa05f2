"""The loss of star-convex polygons on drawn numbers, against the formula of StarDist's own package."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cellproof.losses.star_convex import star_convex_loss, term
from cellproof.types import IGNORE


def drawn(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(2, 5, 6, 7, generator=generator, dtype=torch.float64) * 3
    target = torch.rand(2, 5, 6, 7, generator=generator, dtype=torch.float64)
    target[:, 1:] *= 9
    target[:, :, :3] = 0  # background
    return outputs, target


def test_it_is_the_loss_of_stardist():
    outputs, target = drawn()
    logit, probability = outputs[:, 0].numpy(), target[:, 0].numpy()
    found = 1 / (1 + np.exp(-logit))
    entropy = -(probability * np.log(found) + (1 - probability) * np.log(1 - found)).mean()
    difference = (outputs[:, 1:] - target[:, 1:]).abs().mean(dim=1).numpy()
    # Their masked mean absolute error, normalized by the mask, and a regularization of the background.
    error = (probability * difference).mean() / probability.mean()
    length = np.abs(outputs[:, 1:].numpy()).mean(axis=1)[probability == 0].mean()
    expected = entropy + 0.2 * (error + 1e-4 * length)
    everywhere = torch.ones(2, 6, 7, dtype=torch.bool)
    assert star_convex_loss(outputs, target, valid=everywhere).item() == pytest.approx(expected, rel=1e-9)


def test_options_weigh_its_parts():
    outputs, target = drawn()
    classes = (target[:, 0] > 0).to(torch.uint8)
    without = term(outputs, target, class_map=classes, class_weights=None, rays=0.0)
    once, twice = (term(outputs, target, class_map=classes, class_weights=None, rays=w) for w in (0.3, 0.6))
    assert (twice - without).item() == pytest.approx(2 * (once - without).item())


def test_lengths_count_where_the_object_is_deep_and_not_where_nothing_is_annotated():
    outputs, target = drawn()
    outputs.requires_grad_()
    classes = (target[:, 0] > 0).to(torch.uint8)
    classes[0, 4] = IGNORE
    term(outputs, target, class_map=classes, class_weights=None).backward()
    assert outputs.grad is not None
    assert not outputs.grad[0, :, 4].any()
    pulls = outputs.grad[1, 1, 3:].abs()
    assert torch.allclose(pulls / target[1, 0, 3:], (pulls / target[1, 0, 3:]).mean())
