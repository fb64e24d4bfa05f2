"""What files are taken for: by their names, by what our own files say, and by both sides together."""

from __future__ import annotations

import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.data.description import Description
from cellproof.data.mask_kind import mask_facts
from cellproof.io import write_classes, write_labels
from cellproof.workflows.evaluate.kinds import Sides, kind_of, look_at, planes_of, reading_of

OBJECTS = Description("a", "instances", ("cell",))
TWO = Description("a", "semantic", ("ground", "cell"))
THREE = Description("a", "semantic", ("ground", "cell", "wall"))


def blocks(*values):
    """Separate 3 × 3 blocks, one for each value."""
    mask = np.zeros((5, 5 * len(values)), np.uint8)
    for place, value in enumerate(values):
        mask[1:4, 5 * place + 1 : 5 * place + 4] = value
    return mask


def sides(predictions, *, references=(), hints=(), agreement=None):
    return Sides(
        tuple(mask_facts(mask) for mask in references),
        tuple(mask_facts(mask) for mask in predictions),
        frozenset(hints),
        agreement,
    )


@pytest.mark.parametrize(
    ("predictions", "description", "reading"),
    [
        ([blocks(1, 2, 3)], OBJECTS, "as stored"),
        ([blocks(1, 1, 1)], OBJECTS, "pieces"),
        ([blocks(255, 255)], OBJECTS, "pieces"),
        ([blocks(1)], OBJECTS, "as stored"),
        ([blocks(1, 2, 3)], TWO, "foreground"),
        ([blocks(*range(1, 20))], TWO, "foreground"),
        ([blocks(*range(1, 20)), blocks(1, 1)], TWO, "foreground"),
        ([blocks(1, 1)], TWO, "as stored"),
        ([blocks(1, 2, 1, 2, 1, 2)], TWO, "as stored"),
        ([blocks(1, 2, 3)], THREE, "as stored"),
        ([blocks(0)], OBJECTS, "as stored"),
        ([], TWO, "as stored"),
    ],
)
def test_predictions_of_another_kind_than_the_references_are_read_as_theirs_and_it_is_said(
    predictions, description, reading, caplog
):
    assert reading_of(sides(predictions), description) == reading
    said = {
        "as stored": "",
        "pieces": "the predictions hold foreground only: each connected piece is taken for an object",
        "foreground": "the references hold ground and cell, the predictions object ids: every object is taken for cell",
    }[reading]
    assert (caplog.messages or [""]) == [said]


@pytest.mark.parametrize(
    ("references", "hints", "protocol", "kind"),
    [
        ([blocks(0)], ["instances"], None, "instances"),
        ([blocks(0)], ["semantic"], None, "semantic"),
        ([blocks(0)], ["instances", "semantic"], None, "semantic"),
        ([blocks(0)], [], None, "semantic"),
        ([blocks(1, 2, 3)] * 3, ["instances"], None, "instances"),
        ([blocks(1, 2, 3)] * 3, ["semantic"], None, "semantic"),
        ([blocks(1, 1, 1)] * 3, ["instances"], None, "semantic"),
        ([blocks(*range(1, 20))] * 2, ["instances", "semantic"], None, "instances"),
        ([blocks(1, 2, 3)] * 3, [], "pixel", "semantic"),
    ],
)
def test_names_and_contents_decide_and_values_where_they_do_not(references, hints, protocol, kind):
    assert kind_of(sides([], references=references, hints=hints), protocol, "masks") == kind


@pytest.mark.parametrize("protocol", [None, "stardist"])
def test_masks_that_may_be_read_both_ways_are_refused_with_what_settles_it(protocol):
    with pytest.raises(InputError, match=r"^masks: .*choose protocol='stardist' for objects or protocol='pixel'"):
        kind_of(sides([], references=[blocks(1, 2, 3)] * 3), protocol, "masks")


def test_our_own_files_say_what_they_hold(tmp_path):
    write_labels(tmp_path / "a.tif", blocks(1, 2).astype(np.uint16))
    write_classes(tmp_path / "b.tif", blocks(1, 2))
    assert look_at({"a": tmp_path / "a.tif"}, []).hints == {"instances"}
    assert look_at({"b": tmp_path / "b.tif"}, []).hints == {"semantic"}
    both = look_at({"a": tmp_path / "a.tif"}, [tmp_path / "b.tif"])
    assert both.hints == {"instances", "semantic"}
    assert (len(both.references), len(both.predictions)) == (1, 1)


def test_names_say_it_only_where_all_files_are_named_so(tmp_path):
    for name in ("a_labels.npy", "b_labels.npy", "c_classes.npy", "d.npy"):
        np.save(tmp_path / name, blocks(1))

    def hints(*names):
        return look_at({name: tmp_path / f"{name}.npy" for name in names}, []).hints

    assert hints("a_labels", "b_labels") == {"instances"}
    assert hints("c_classes") == {"semantic"}
    assert hints("a_labels", "d") == set()
    assert look_at({}, []).hints == set()


def test_agreement_is_the_fraction_of_equal_pixels_among_those_annotated_on_both_sides(tmp_path):
    for folder in ("ref", "said"):
        (tmp_path / folder).mkdir()
    pairs = {"a": ([1, 1, 2, 0], [1, 2, 2, 2]), "b": ([0, 0, 3, 3], [1, 1, 3, 3])}
    for name, (reference, said) in pairs.items():
        np.save(tmp_path / "ref" / f"{name}.npy", np.array([reference]))
        np.save(tmp_path / "said" / f"{name}.npy", np.array([said]))
    masks = {name: tmp_path / "ref" / f"{name}.npy" for name in pairs}
    predictions = [tmp_path / "said" / f"{name}.npy" for name in pairs]
    assert look_at(masks, predictions).agreement == 4 / 5
    np.save(tmp_path / "said" / "b.npy", np.array([[3, 3]]))  # of another size: not compared
    assert look_at(masks, predictions).agreement == 2 / 3
    np.save(tmp_path / "said" / "a.npy", np.array([[0, 0, 0, 1]]))
    assert look_at(masks, predictions).agreement is None
    (tmp_path / "said" / "a.npy").write_bytes(b"broken")
    assert look_at(masks, predictions).agreement is None


@pytest.mark.parametrize(("files", "looked_at"), [(20, 20), (21, 11), (40, 20), (41, 14)])
def test_at_most_twenty_masks_spread_over_the_set_are_looked_at(tmp_path, files, looked_at):
    for number in range(files):
        np.save(tmp_path / f"{number:02}.npy", np.full((2, 2), number + 1))
    found = look_at({path.stem: path for path in sorted(tmp_path.iterdir())}, [])
    assert len(found.references) == looked_at
    assert max(max(one.values) for one in found.references) > files - files // looked_at - 1


def test_a_flat_mask_is_a_plane_and_a_stack_several():
    assert len(planes_of(np.zeros((3, 4)))) == 1
    assert [plane.shape for plane in planes_of(np.zeros((2, 3, 4)))] == [(3, 4)] * 2


def test_where_no_reference_can_be_read_it_is_said_why(tmp_path):
    (tmp_path / "a.png").write_bytes(b"broken")
    np.save(tmp_path / "b.npy", blocks(1, 2))
    with pytest.raises(InputError, match=r"^none of 1 references can be used; .*a\.png"):
        look_at({"a": tmp_path / "a.png"}, [tmp_path / "b.npy"])
    both = look_at({"a": tmp_path / "a.png", "b": tmp_path / "b.npy"}, [tmp_path / "a.png"])
    assert (len(both.references), len(both.predictions)) == (1, 0)
