"""`cellproof.losses.dice`: Dice of hard answers, counted by hand, and classes that are not there."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from cellproof.losses.dice import soft_dice


def certain(class_map, classes):
    return 200.0 * functional.one_hot(class_map, classes).movedim(-1, 1)


PREDICTION = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 1]], [[0, 0, 0, 2], [0, 0, 0, 2]]])
REFERENCE = torch.tensor([[[0, 1, 1, 1], [0, 0, 0, 1]], [[0, 0, 2, 2], [0, 0, 2, 2]]])


@pytest.mark.parametrize(
    ("per_image", "include_background", "dice"),
    [
        # Summed over the batch: class 0 2·7/(10+8), class 1 2·3/(4+4), class 2 2·2/(2+4).
        (False, True, (7 / 9 + 3 / 4 + 2 / 3) / 3),
        (False, False, (3 / 4 + 2 / 3) / 2),
        # Image by image, the classes that it has: 2·3/(4+4), 2·3/(4+4); 2·4/(6+4), 2·2/(2+4).
        (True, True, (3 / 4 + 3 / 4 + 4 / 5 + 2 / 3) / 4),
        (True, False, (3 / 4 + 2 / 3) / 2),
    ],
)
def test_certain_answers_have_the_dice_of_their_counts(per_image, include_background, dice):
    logits = certain(PREDICTION, 4)
    found = soft_dice(logits, REFERENCE, per_image=per_image, include_background=include_background)
    assert found.item() == pytest.approx(1 - dice, abs=1e-6)


def test_uncertain_answers_count_by_their_probability():
    reference = torch.tensor([[[0, 1]]])
    logits = torch.log(torch.tensor([0.75, 0.25]))[None, :, None, None].expand(1, 2, 1, 2)
    # Class 0: 2·0.75/(1.5+1); class 1: 2·0.25/(0.5+1).
    assert soft_dice(logits, reference).item() == pytest.approx(1 - (0.6 + 1 / 3) / 2)


def test_a_class_that_the_reference_lacks_is_left_out_but_costs_the_others():
    reference = torch.zeros(1, 2, 2, dtype=torch.long)
    wrong = reference.clone()
    wrong[0, 0, 0] = 1
    assert soft_dice(certain(reference, 5), reference).item() == pytest.approx(0, abs=1e-6)
    assert soft_dice(certain(wrong, 5), reference).item() == pytest.approx(1 - 6 / 7)


def test_background_alone_costs_nothing_where_background_does_not_count():
    logits = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert soft_dice(logits, torch.zeros(1, 4, 4, dtype=torch.uint8), include_background=False).item() == 0


def test_renaming_the_classes_changes_nothing():
    logits = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    class_map = torch.randint(0, 3, (2, 5, 5), generator=torch.Generator().manual_seed(1))
    order = torch.tensor([2, 0, 1])
    renamed = soft_dice(logits[:, order], order.argsort()[class_map])
    torch.testing.assert_close(renamed, soft_dice(logits, class_map))
