"""`cellproof.losses.weighted_sum`: which channel meets which field, and what counts."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from cellproof.checks import InputError
from cellproof.data.targets import heads_of, losses_of
from cellproof.losses import check_terms, maps_of
from cellproof.losses.binary_cross_entropy import binary_cross_entropy
from cellproof.losses.border_weight import term as border_weight
from cellproof.losses.cross_entropy import cross_entropy
from cellproof.losses.deep_supervision import deep_supervision, part_views, views_loss
from cellproof.losses.dice import soft_dice
from cellproof.losses.topk import term as topk
from cellproof.losses.weighted_sum import weighted_sum
from cellproof.types import Head, Heads, LossTerm

ALL = heads_of(3, ["boundary", "distance", "flows"])
COMBINATIONS = [
    heads_of(2, [name for name, there in zip(ALL.names, flags, strict=True) if there])
    for flags in product([False, True], repeat=3)
]


@pytest.fixture
def class_map():
    classes = torch.randint(0, 3, (2, 6, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    classes[0, 0] = 255
    return classes


def random(channels, seed=1):
    return torch.randn(2, channels, 6, 6, generator=torch.Generator().manual_seed(seed))


def test_semantic_heads_have_cross_entropy_and_dice_alone(class_map):
    logits = random(3)
    found = weighted_sum(logits, class_map, random(0), heads=Heads(3), terms=losses_of(Heads(3)))
    torch.testing.assert_close(found, cross_entropy(logits, class_map) + soft_dice(logits, class_map))


@pytest.mark.parametrize("heads", COMBINATIONS)
def test_every_head_meets_its_own_field(heads, class_map):
    class_map = class_map.clamp(max=1)
    fields = random(heads.channels - 2)
    if "boundary" in heads.names:
        fields[:, 0] = (fields[:, 0] > 0).float()
    outputs = torch.cat([random(2), fields], dim=1)
    if "boundary" in heads.names:
        outputs[:, 2] = 80 * (2 * fields[:, 0] - 1)
    terms = [term for term in losses_of(heads) if term.on != "classes"]
    assert weighted_sum(outputs, class_map, fields, heads=heads, terms=terms).item() == pytest.approx(0)
    for channel in range(2, heads.channels):
        wrong = outputs.clone()
        wrong[:, channel] *= -1
        assert weighted_sum(wrong, class_map, fields, heads=heads, terms=terms).item() > 0.1


@pytest.mark.parametrize(
    ("name", "on", "channels"),
    [
        ("cross_entropy", "classes", [0, 1, 2]),
        ("dice", "classes", [0, 1, 2]),
        ("binary_cross_entropy", "boundary", [3]),
        ("dice", "boundary", [3]),
        ("smooth_l1", "distance", [4]),
        ("squared_error", "distance", [4]),
        ("flow", "flows", [5, 6]),
    ],
)
def test_every_weight_teaches_its_own_channels_in_proportion(name, on, channels, class_map):
    fields = random(4, seed=2).sigmoid()
    gradients = []
    for weight in (1.0, 3.0):
        outputs = random(7).requires_grad_()
        terms = [LossTerm(name, weight, on), LossTerm("cross_entropy", 0.0)]
        weighted_sum(outputs, class_map, fields, heads=ALL, terms=terms).backward()
        gradients.append(outputs.grad)
    assert [channel for channel in range(7) if gradients[0][:, channel].any()] == channels
    torch.testing.assert_close(gradients[1], 3 * gradients[0])


def test_flows_count_in_objects_and_distances_count_less_outside(class_map):
    outputs = random(7).requires_grad_()
    terms = [LossTerm("flow", 1.0, "flows"), LossTerm("smooth_l1", 1.0, "distance", {"background": 0.25})]
    weighted_sum(outputs, class_map, torch.full((2, 4, 6, 6), 50.0), heads=ALL, terms=terms).backward()
    distance, flow = outputs.grad[:, 4], outputs.grad[:, 5:]
    background, objects = class_map == 0, (class_map == 1) | (class_map == 2)
    assert not flow.movedim(1, -1)[~objects].any()
    assert (flow.movedim(1, -1)[objects] != 0).all()
    torch.testing.assert_close(distance[background], 0.25 * distance[objects][0].expand_as(distance[background]))


def test_lengths_are_compared_in_the_units_of_their_head(class_map):
    """Outputs of 2.5 units of 4 px against lengths of 9 px: 1 px wrong on each ray."""
    heads = Heads(3, (Head("star_convex", 3, activation="positive", geometry="rays", probabilities=1, unit=4.0),))
    outputs = torch.zeros(2, 6, 6, 6)
    outputs[:, 4:] = 2.5
    fields = torch.full((2, 3, 6, 6), 9.0)
    fields[:, 0] = 1
    terms = (LossTerm("star_convex", 1.0, "star_convex", {"rays": 0.5}),)
    found = weighted_sum(outputs, class_map, fields, heads=heads, terms=terms).item()
    assert found == pytest.approx(math.log(2) + 0.5, rel=1e-5)


def test_boundary_pixels_can_weigh_more(class_map):
    outputs, fields = random(3), (random(1, seed=3) > 0).float()
    terms = [LossTerm("binary_cross_entropy", 1.0, "boundary", {"positive_weight": 4.0})]
    found = weighted_sum(outputs, class_map.clamp(max=1), fields, heads=heads_of(2, ["boundary"]), terms=terms)
    torch.testing.assert_close(found, binary_cross_entropy(outputs[:, 2:], fields, positive_weight=4.0))


@pytest.mark.parametrize(
    ("heads", "channels", "fields", "message"),
    [
        (heads_of(1, ["boundary"]), 2, 1, "at least 2"),
        (ALL, 6, 4, "outputs have 6 channels and fields 4"),
        (ALL, 7, 3, "outputs have 7 channels and fields 3"),
        (Heads(classes=3), 3, 1, "outputs have 3 channels and fields 1"),
    ],
)
def test_channels_that_do_not_fit_the_heads_are_refused(heads, channels, fields, message, class_map):
    with pytest.raises(InputError, match=message):
        weighted_sum(random(channels), class_map, random(fields), heads=heads, terms=losses_of(heads))


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (LossTerm("hinge"), "no loss term 'hinge'; there: binary_cross_entropy, border_weight, cross_entropy"),
        (
            LossTerm("dice", 1.0, "stars"),
            "which the network does not learn; its outputs: classes, boundary, distance, flows, views",
        ),
        (LossTerm("dice", options={"smoot": 1}), "'dice' has no option 'smoot'; there: per_image, include_background"),
        (LossTerm("dice", 0.0), "no loss term has a weight above 0"),
    ],
)
def test_terms_that_no_training_could_compute_are_refused(term, message):
    with pytest.raises(InputError, match=message):
        check_terms([term], ALL)


def test_terms_are_told_what_they_ask_for_and_nothing_else(class_map):
    logits, gap = random(3), random(1)[:, 0].abs()
    terms = [
        LossTerm("dice", 0.5),
        LossTerm("topk", 2.0, options={"fraction": 0.2, "descent": 0.5}),
        LossTerm("border_weight"),
    ]
    assert maps_of(terms) == ("border_gap",)
    told = {"class_map": class_map, "class_weights": None}
    for progress in (0.0, 0.25, 1.0):
        found = weighted_sum(
            logits, class_map, random(0), heads=Heads(3), terms=terms, progress=progress, maps={"border_gap": gap}
        )
        expected = 0.5 * soft_dice(logits, class_map) + border_weight(logits, class_map, border_gap=gap, **told)
        expected += 2 * topk(logits, class_map, fraction=1 - 1.6 * progress if progress < 0.5 else 0.2, **told)
        torch.testing.assert_close(found, expected)
    check_terms(terms, ALL)
    with pytest.raises(InputError, match="'topk' has no option 'progress'; there: fraction, count, per_image, descent"):
        check_terms([LossTerm("topk", options={"progress": 0.5})], ALL)
    with pytest.raises(InputError, match="'border_weight' has no option 'border_gap'; there: strength, sigma_px"):
        check_terms([LossTerm("border_weight", options={"border_gap": 1})], ALL)


def test_auxiliary_outputs_count_together_as_much_as_they_are_told(class_map):
    outputs = tuple(random(3, seed=seed) for seed in (1, 2, 3))
    main, first, second = (soft_dice(one, class_map) for one in outputs)
    found = deep_supervision(lambda one: soft_dice(one, class_map), outputs, weight=0.4)
    torch.testing.assert_close(found, main + 0.2 * first + 0.2 * second)
    torch.testing.assert_close(deep_supervision(lambda one: soft_dice(one, class_map), outputs, weight=0), main)
    torch.testing.assert_close(deep_supervision(lambda one: soft_dice(one, class_map), outputs[0]), main)
    every = deep_supervision(lambda one: soft_dice(one, class_map), outputs, weight="sum")
    torch.testing.assert_close(every, main + first + second)
    torch.testing.assert_close(deep_supervision(lambda one: soft_dice(one, class_map), outputs[:1], weight="sum"), main)


def test_terms_on_views_look_at_pairs_and_at_nothing_else(class_map):
    pair = torch.stack([random(3), random(3, seed=2)])
    terms = [
        LossTerm("cross_entropy"),
        LossTerm("squared_error", 3.0, "views"),
        LossTerm("squared_error", 0.0, "views"),
    ]
    check_terms(terms, Heads(3))
    found = weighted_sum(random(3), class_map, random(0), heads=Heads(3), terms=terms)
    torch.testing.assert_close(found, cross_entropy(random(3), class_map))
    # Unlabeled pixels count like all others.
    torch.testing.assert_close(views_loss(pair, terms), 3 * (pair[0] - pair[1]).square().mean())
    assert views_loss(None, terms) == 0.0
    outputs = (random(3), random(3, seed=4), pair)
    labeled, views = part_views(outputs)
    assert (labeled[0] is outputs[0], labeled[1] is outputs[1], views is pair, len(labeled)) == (True, True, True, 2)
