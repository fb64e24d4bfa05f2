"""`cellproof.losses.instance_loss`: which channel meets which field, and what counts."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch

from cellproof.checks import InputError
from cellproof.losses.binary_cross_entropy import binary_cross_entropy
from cellproof.losses.cross_entropy import cross_entropy
from cellproof.losses.dice import soft_dice
from cellproof.losses.instance_loss import InstanceWeights, instance_loss
from cellproof.types import Heads

NONE = InstanceWeights(cross_entropy=0, dice=0, boundary=0, boundary_dice=0, distance=0, flow=0)
ALL = Heads(classes=3, boundary=True, distance=True, flows=True)
COMBINATIONS = [
    Heads(classes=2, boundary=boundary, distance=distance, flows=flows)
    for boundary, distance, flows in product([False, True], repeat=3)
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
    found = instance_loss(logits, class_map, random(0), heads=Heads(classes=3))
    torch.testing.assert_close(found, cross_entropy(logits, class_map) + soft_dice(logits, class_map))


@pytest.mark.parametrize("heads", COMBINATIONS)
def test_every_head_meets_its_own_field(heads, class_map):
    class_map = class_map.clamp(max=1)
    fields = random(heads.channels - 2)
    if heads.boundary:
        fields[:, 0] = (fields[:, 0] > 0).float()
    outputs = torch.cat([random(2), fields], dim=1)
    if heads.boundary:
        outputs[:, 2] = 80 * (2 * fields[:, 0] - 1)
    only_fields = InstanceWeights(cross_entropy=0, dice=0)
    assert instance_loss(outputs, class_map, fields, heads=heads, weights=only_fields).item() == pytest.approx(0)
    for channel in range(2, heads.channels):
        wrong = outputs.clone()
        wrong[:, channel] *= -1
        assert instance_loss(wrong, class_map, fields, heads=heads, weights=only_fields).item() > 0.1


@pytest.mark.parametrize(
    ("part", "channels"),
    [
        ("cross_entropy", [0, 1, 2]),
        ("dice", [0, 1, 2]),
        ("boundary", [3]),
        ("boundary_dice", [3]),
        ("distance", [4]),
        ("flow", [5, 6]),
    ],
)
def test_every_weight_teaches_its_own_channels_in_proportion(part, channels, class_map):
    fields = random(4, seed=2).sigmoid()
    gradients = []
    for weight in (1.0, 3.0):
        outputs = random(7).requires_grad_()
        weights = replace(NONE, **{part: weight})
        instance_loss(outputs, class_map, fields, heads=ALL, weights=weights).backward()
        gradients.append(outputs.grad)
    assert [channel for channel in range(7) if gradients[0][:, channel].any()] == channels
    torch.testing.assert_close(gradients[1], 3 * gradients[0])


def test_flows_count_in_objects_and_distances_count_less_outside(class_map):
    outputs = random(7).requires_grad_()
    weights = replace(NONE, flow=1.0, distance=1.0, distance_background=0.25)
    instance_loss(outputs, class_map, torch.full((2, 4, 6, 6), 50.0), heads=ALL, weights=weights).backward()
    distance, flow = outputs.grad[:, 4], outputs.grad[:, 5:]
    background, objects = class_map == 0, (class_map == 1) | (class_map == 2)
    assert not flow.movedim(1, -1)[~objects].any()
    assert (flow.movedim(1, -1)[objects] != 0).all()
    torch.testing.assert_close(distance[background], 0.25 * distance[objects][0].expand_as(distance[background]))


def test_boundary_pixels_can_weigh_more(class_map):
    outputs, fields = random(3), (random(1, seed=3) > 0).float()
    found = instance_loss(
        outputs,
        class_map.clamp(max=1),
        fields,
        heads=Heads(classes=2, boundary=True),
        weights=replace(NONE, boundary=1.0, boundary_positive=4.0),
    )
    torch.testing.assert_close(found, binary_cross_entropy(outputs[:, 2:], fields, positive_weight=4.0))


@pytest.mark.parametrize(
    ("heads", "channels", "fields", "message"),
    [
        (Heads(classes=1, boundary=True), 2, 1, "at least 2"),
        (ALL, 6, 4, "outputs have 6 channels and fields 4"),
        (ALL, 7, 3, "outputs have 7 channels and fields 3"),
        (Heads(classes=3), 3, 1, "outputs have 3 channels and fields 1"),
    ],
)
def test_channels_that_do_not_fit_the_heads_are_refused(heads, channels, fields, message, class_map):
    with pytest.raises(InputError, match=message):
        instance_loss(random(channels), class_map, random(fields), heads=heads)
