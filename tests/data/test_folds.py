from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cellproof.checks import InputError
from cellproof.data.folds import (
    Fold,
    check_classes,
    draw_folds,
    folds_from_json,
    folds_to_json,
    group_by_blocks,
    hold_out,
    join_groups,
)
from cellproof.data.index import Record


def record(name: str, group: str | None = None, stain: str = "blue") -> Record:
    return Record(name, "", Path(name), Path(name), group or name, {"stain": stain})


@st.composite
def record_lists(draw, groups: int = 12) -> list[Record]:
    count = draw(st.integers(2, 40))
    return [
        record(f"n{number}", f"g{draw(st.integers(0, groups))}", draw(st.sampled_from(["red", "green", "blue"])))
        for number in range(count)
    ]


@settings(max_examples=30, deadline=None)
@given(records=record_lists(), folds=st.integers(2, 5), seed=st.integers(0, 99))
def test_folds_partition_the_records_and_keep_groups_whole(records, folds, seed):
    assume(len({item.group for item in records}) >= folds)
    drawn = draw_folds(records, folds=folds, seed=seed, stratify_by="stain")
    names = sorted(item.name for item in records)
    assert sorted(name for fold in drawn for name in fold.val) == names
    group = {item.name: item.group for item in records}
    for fold in drawn:
        assert fold.val
        assert sorted(fold.train + fold.val) == names
        assert not {group[name] for name in fold.train} & {group[name] for name in fold.val}


@settings(max_examples=30, deadline=None)
@given(records=record_lists(), seed=st.integers(0, 99), data=st.data())
def test_the_seed_alone_decides_not_the_order_of_records(records, seed, data):
    assume(len({item.group for item in records}) >= 2)
    shuffled = data.draw(st.permutations(records))
    assert draw_folds(records, folds=2, seed=seed) == draw_folds(shuffled, folds=2, seed=seed)
    assert hold_out(records, share=0.2, seed=seed) == hold_out(shuffled, share=0.2, seed=seed)


def test_another_seed_draws_other_folds():
    records = [record(f"n{number}") for number in range(30)]
    assert draw_folds(records, folds=3, seed=0) != draw_folds(records, folds=3, seed=1)


@settings(max_examples=30, deadline=None)
@given(
    stains=st.lists(st.sampled_from("aaabc"), min_size=6, max_size=60), folds=st.integers(2, 5), seed=st.integers(0, 9)
)
def test_single_images_are_stratified_to_within_one(stains, folds, seed):
    records = [record(f"n{number}", stain=stain) for number, stain in enumerate(stains)]
    stain = {item.name: item.attributes["stain"] for item in records}
    counts = [
        Counter(stain[name] for name in fold.val)
        for fold in draw_folds(records, folds=folds, seed=seed, stratify_by="stain")
    ]
    for value in set(stains):
        held = [count[value] for count in counts]
        assert max(held) - min(held) <= 1


def test_a_class_that_a_part_of_a_fold_lacks_is_named_with_the_images_that_show_it():
    folds = [Fold(("a", "b"), ("c",)), Fold(("b", "c"), ("a",)), Fold(("a", "c"), ("b",))]
    everywhere = dict.fromkeys("abc", frozenset({0, 1}))
    check_classes(folds, everywhere, ("cell", "wall", "in no mask"))
    with pytest.raises(InputError, match="fold 1 is checked with no image with class 'wall', which is only in a, b;"):
        check_classes(folds, everywhere | {"c": frozenset({0})}, ("cell", "wall"))
    rare = dict.fromkeys("bc", frozenset({0})) | {"a": frozenset({0, 1})}
    with pytest.raises(InputError, match="fold 1 learns from no image with class 'wall', which is only in a;"):
        check_classes(folds[1:], rare, ("cell", "wall"))


@pytest.mark.parametrize(("count", "kept"), [(2, 1), (3, 1), (5, 1), (12, 2), (20, 4), (100, 20)])
def test_hold_out_keeps_its_share_and_at_least_one(count, kept):
    fold = hold_out([record(f"n{number}") for number in range(count)], share=0.2, seed=0)
    assert (len(fold.val), len(fold.train)) == (kept, count - kept)


def test_hold_out_takes_its_share_of_rare_kinds_too():
    records = [record(f"b{number}") for number in range(80)] + [
        record(f"r{number}", stain="red") for number in range(10)
    ]
    fold = hold_out(records, share=0.2, seed=5, stratify_by="stain")
    assert Counter(name[0] for name in fold.val) == {"b": 16, "r": 2}


def test_what_is_written_is_read_back():
    folds = [Fold(("a", "ü"), ("c",)), Fold(("c",), ("a", "ü"))]
    assert folds_from_json(folds_to_json(folds)) == folds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the folds cannot be read"),
        ('[{"train": ["a"]}]', "missing required field `val`"),
        ('[{"train": ["a"], "val": ["a"]}]', "fold 1 has 1 names in train and val: a"),
    ],
)
def test_a_wrong_folds_file_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        folds_from_json(text)


def test_what_cannot_be_divided_is_refused():
    pair = [record("a", "g"), record("b", "g")]
    with pytest.raises(InputError, match="2 folds of 2 images in 1 groups"):
        draw_folds(pair, folds=2, seed=0)
    with pytest.raises(InputError, match="2 images in 1 groups; expected at least 2 groups"):
        hold_out(pair, share=0.5, seed=0)
    with pytest.raises(InputError, match="share is 1"):
        hold_out(pair, share=1, seed=0)
    with pytest.raises(InputError, match="1 names are there twice: a"):
        draw_folds([record("a"), record("a")], folds=2, seed=0)
    with pytest.raises(InputError, match="a has no attribute 'age' to stratify by; its attributes: stain"):
        hold_out([record("a"), record("b")], share=0.5, seed=0, stratify_by="age")


def neighbors_on_both_sides(fold):
    """Slices that are checked with and have a neighbor among those learned from."""
    train = {int(name[1:]) for name in fold.train}
    return sum(int(name[1:]) + step in train for name in fold.val for step in (-1, 1))


def test_blocks_of_a_stack_are_runs_of_neighbors_in_the_order_of_numbers():
    blocks = group_by_blocks([record(f"z{number}") for number in (10, 3, 1, 2, 11, 9, 4)], blocks=3)
    assert [item.name for item in blocks] == ["z1", "z2", "z3", "z4", "z9", "z10", "z11"]
    assert [item.group[-1] for item in blocks] == list("1122233")


def test_folds_of_blocks_part_few_neighbors():
    slices = [record(f"z{number}") for number in range(30)]
    blocks = draw_folds(group_by_blocks(slices, blocks=6), folds=3, seed=0)
    assert [len(fold.val) for fold in blocks] == [10, 10, 10]
    assert sum(map(neighbors_on_both_sides, blocks)) <= 2 * 5
    assert sum(map(neighbors_on_both_sides, draw_folds(slices, folds=3, seed=0))) > 20


def test_blocks_that_cannot_be_made_are_refused():
    with pytest.raises(InputError, match="4 blocks of 3 slices; expected 2 to 3"):
        group_by_blocks([record(name) for name in "abc"], blocks=4)
    with pytest.raises(InputError, match="1 blocks of 3 slices"):
        group_by_blocks([record(name) for name in "abc"], blocks=1)
    with pytest.raises(InputError, match="b has a group already"):
        group_by_blocks([record("a"), record("b", "mouse 1")], blocks=2)


def test_groups_that_share_an_image_become_one_through_any_number_of_others():
    records = [record("a", "cornea 1"), record("b", "cornea 2"), record("c", "cornea 3"), record("d"), record("e")]
    joined = join_groups(records, [("a", "b"), ("b", "c"), ("d", "elsewhere")])
    assert [item.group for item in joined] == ["cornea 1", "cornea 1", "cornea 1", "d", "e"]
    assert [item.name for item in joined] == list("abcde")


@settings(max_examples=30, deadline=None)
@given(records=record_lists(), data=st.data())
def test_joining_groups_only_makes_them_larger(records, data):
    names = [item.name for item in records]
    same = data.draw(st.lists(st.lists(st.sampled_from(names), min_size=2, max_size=4), max_size=6))
    joined = {item.name: item.group for item in join_groups(records, same)}
    for first in records:
        for second in records:
            if first.group == second.group:
                assert joined[first.name] == joined[second.name]
    assert all(len({joined[name] for name in together}) == 1 for together in same)
    if not same:
        assert joined == {item.name: item.group for item in records}
