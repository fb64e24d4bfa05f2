"""Object ids or classes: decided from values, pieces and both sides; undecidable masks are not guessed."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.data.description import Description, color_classes, describe_facts
from cellproof.data.mask_kind import decide_kind, mask_facts


def blocks(*values):
    """A mask of separate 3 × 3 blocks, one for each value."""
    mask = np.zeros((5, 5 * len(values)), np.int32)
    for place, value in enumerate(values):
        mask[1:4, 5 * place + 1 : 5 * place + 4] = value
    return mask


def facts(*masks, color=False):
    return [mask_facts(mask, color=color) for mask in masks]


def test_pieces_values_and_contact_are_counted():
    one = mask_facts(blocks(1, 1, 7))
    assert (one.values, one.pieces, one.touching) == ({1, 7}, 3, False)
    assert mask_facts(np.array([[1, 2]])).touching
    assert mask_facts(np.array([[0, 255, 3]])).values == {3}
    assert mask_facts(np.array([[0, 255]])).values == {255}


@pytest.mark.parametrize(
    ("masks", "kind"),
    [
        ([blocks(1, 2, 3), blocks(1, 2)], "instances"),
        ([blocks(1, 2, 3)], "instances"),
        ([blocks(*range(1, 20))] * 2, "instances"),
        ([blocks(1, 2, 1, 2), blocks(1, 1, 2, 2)], "semantic"),
        ([blocks(1, 1), blocks(1)], "semantic"),
        ([np.array([[1, 1, 2, 2]])] * 3, "semantic"),
        ([blocks(1, 2, 3)] * 3, None),
    ],
)
def test_masks_alone(masks, kind):
    assert decide_kind(facts(*masks)) == kind


@pytest.mark.parametrize(
    ("references", "predictions", "agreement", "kind"),
    [
        ([blocks(1, 2, 3)] * 3, [blocks(3, 1, 2)] * 3, 0.0, "instances"),
        ([blocks(1, 2, 3)] * 3, [blocks(1, 2, 3)] * 3, 1.0, None),
        ([blocks(1, 2, 3)] * 3, [blocks(1, 2), blocks(1, 2, 3)], 1.0, None),
        ([blocks(1, 2, 3)] * 3, [blocks(1, 2, 2, 1, 3, 3)] * 3, 0.5, "semantic"),
        ([blocks(1, 2, 3)] * 3, [blocks(*range(1, 20))], 0.9, "instances"),
        ([blocks(1)] * 3, [blocks(2)] * 3, 0.0, "instances"),
        ([blocks(1, 1)] * 3, [blocks(1, 2)] * 3, 0.5, "semantic"),
        ([blocks(255, 255)] * 3, [blocks(1, 1)] * 3, 0.0, "semantic"),
    ],
)
def test_references_and_predictions_together(references, predictions, agreement, kind):
    assert decide_kind(facts(*references), facts(*predictions), agreement=agreement) == kind


def test_what_cannot_be_decided_is_refused_with_both_readings_and_what_settles_it():
    with pytest.raises(InputError, match=r'object ids or classes; write masks = "instances".* or masks = "semantic"'):
        describe_facts("cells", facts(blocks(1, 2), blocks(2, 1)))


def test_empty_masks_say_nothing():
    empty = np.zeros((4, 4), np.int32)
    assert decide_kind(facts(empty, blocks(1, 2, 3), empty, blocks(1, 2))) == "instances"


def test_colors_of_classes_are_in_the_order_of_the_stated_rule():
    red, blue = 0xFF0000, 0x0000FF
    masks = facts(blocks(red, red, blue, blue), blocks(blue, red, red), color=True)
    description, notes = describe_facts("x", masks)
    assert description.colors == ("#000000", "#0000ff", "#ff0000")
    assert description.masks == "semantic"
    assert "0 #000000, 1 #0000ff, 2 #ff0000" in notes[0]
    assert color_classes(blocks(red, blue), description).max(axis=0).tolist() == [0, 2, 2, 2, 0, 0, 1, 1, 1, 0]


def test_the_description_s_own_order_of_colors_holds_and_a_foreign_color_is_named():
    description = Description("x", "semantic", ("background", "cell"), ("#ffffff", "#00ff00"))
    values = np.array([[0xFFFFFF, 0x00FF00]])
    assert color_classes(values, description).tolist() == [[0, 1]]
    with pytest.raises(InputError, match="holds #000001; the colors of the classes are #ffffff, #00ff00"):
        color_classes(np.array([[1]]), description)


def test_white_ground_is_the_background_where_nothing_is_black():
    mask = np.full((8, 8), 0xFFFFFF)
    mask[1:3, 1:3] = mask[5:7, 5:7] = 0x00FF00
    description, _ = describe_facts("x", facts(mask, mask, color=True))
    assert description.colors == ("#ffffff", "#00ff00")


def test_many_colors_are_objects():
    colors = [0x100000 * (number % 15 + 1) + 0x003001 * number for number in range(20)]
    description, _ = describe_facts("x", facts(blocks(*colors), color=True))
    assert description.masks == "instances"
    assert color_classes(blocks(*colors), description).max() == 20
