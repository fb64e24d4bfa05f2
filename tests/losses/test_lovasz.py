"""`cellproof.losses.lovasz`: the IoU of hard answers, and the definition of the Lovász extension."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from torch.nn import functional

from cellproof.losses.lovasz import lovasz_softmax, term
from cellproof.metrics import pixel


@pytest.mark.parametrize("seed", range(3))
def test_of_hard_answers_it_is_one_less_the_mean_iou_of_the_classes_that_are_there(seed):
    rng = np.random.default_rng(seed)
    reference, said = rng.integers(0, 2 + seed, (2, 6, 6)), rng.integers(0, 4, (2, 6, 6))
    reference[0, 0, :3] = 255
    logits = 200.0 * functional.one_hot(torch.tensor(said), 4).movedim(-1, 1)
    iou = pixel.iou(pixel.confusion(said, reference, classes=4, ignore=255))[: 2 + seed]
    assert lovasz_softmax(logits, torch.tensor(reference)).item() == pytest.approx(1 - iou.mean(), abs=1e-6)


def extension(errors, is_class):
    """Definition 2 of the paper: the set function summed along the order of the errors, found by trying all orders."""

    def jaccard(wrong):
        right = is_class & ~wrong
        return 1 - right.sum() / (is_class | wrong).sum()

    order = next(o for o in permutations(range(len(errors))) if np.all(np.diff(np.array(errors)[list(o)]) <= 0))
    total, wrong = 0.0, np.zeros(len(errors), bool)
    for place in order:
        before = jaccard(wrong)
        wrong[place] = True
        total += errors[place] * (jaccard(wrong) - before)
    return total


def test_of_uncertain_answers_it_is_the_extension_by_its_definition():
    rng = np.random.default_rng(0)
    is_class = np.array([True, False, True, False, False, True])
    p = rng.random(6)
    outputs = torch.tensor(np.log(p / (1 - p))).reshape(1, 1, 2, 3)
    target = torch.tensor(is_class.astype(float)).reshape(1, 1, 2, 3)
    class_map = torch.zeros(1, 2, 3, dtype=torch.uint8)
    found = term(outputs, target, class_map=class_map, class_weights=None).item()
    foreground = extension(np.abs(is_class - p), is_class)
    background = extension(np.abs(~is_class - (1 - p)), ~is_class)
    assert found == pytest.approx((foreground + background) / 2)


def test_each_image_may_have_an_iou_of_its_own():
    logits = torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    class_map = torch.randint(0, 2, (2, 4, 4), generator=torch.Generator().manual_seed(1))
    alone = torch.stack([lovasz_softmax(logits[n : n + 1], class_map[n : n + 1]) for n in range(2)])
    torch.testing.assert_close(lovasz_softmax(logits, class_map, per_image=True), alone.mean())
