"""Mask R-CNN: torchvision's own network, its anchors, and what it learns from drawn objects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cellproof import detectors
from cellproof.checks import InputError
from cellproof.detectors.detections import Detections
from cellproof.detectors.fuse import claims

SMALL = {
    "backbone": "resnet10",
    "norm": "batch",
    "pyramid_channels": 32,
    "box_channels": 64,
    "mask_channels": 32,
    "sampled": 64,
    "proposals": 100,
    "anchors": "16 24 32 48 64",
}


def build(**options):
    return detectors.load("mask_rcnn", **{"in_channels": 1, "out_channels": 6, **SMALL, **options})


@pytest.mark.usefixtures("torchvision")
def test_parameters_are_those_that_torchvision_states_for_91_classes():
    with torch.device("meta"):
        first = detectors.load("mask_rcnn", in_channels=3, out_channels=95)
        second = detectors.load("mask_rcnn", in_channels=3, out_channels=95, version=2, norm="batch")
    assert sum(p.numel() for p in first.parameters()) == 44_401_393
    assert sum(p.numel() for p in second.parameters()) == 46_359_409


def test_weights_and_outputs_are_those_of_torchvision_s_model(torchvision):
    """torchvision's own model around the same weights finds the same boxes, once it neither resizes nor normalizes."""
    torch.manual_seed(0)
    with torch.no_grad():
        theirs = torchvision.models.detection.maskrcnn_resnet50_fpn(
            weights=None, weights_backbone=None, num_classes=3, box_score_thresh=0.0, box_detections_per_img=5
        ).eval()
        ours = detectors.load("mask_rcnn", in_channels=3, out_channels=7, least_score=0.0, detections=5).eval()
        ours.load_state_dict(theirs.state_dict())
        theirs.transform.min_size, theirs.transform.max_size = (64,), 96
        image = torch.rand(3, 64, 96)
        (expected,) = theirs([image])
        found = Detections.of_table(ours(image[None]).numpy())
    np.testing.assert_allclose(found.boxes, expected["boxes"].numpy(), atol=1e-3)
    np.testing.assert_allclose(found.scores, expected["scores"].numpy(), atol=1e-5)
    assert found.classes.tolist() == expected["labels"].tolist()


@pytest.mark.usefixtures("torchvision")
def test_anchors_have_the_sides_and_ratios_asked_for():
    network = build(ratios="0.5 2")
    generator = network.rpn.anchor_generator
    for cells, side in zip(generator.cell_anchors, (16, 24, 32, 48, 64), strict=True):
        wide, high = cells[:, 2] - cells[:, 0], cells[:, 3] - cells[:, 1]
        np.testing.assert_allclose((wide * high).sqrt(), [side] * 2, rtol=0.05)  # whole pixels
        np.testing.assert_allclose(high / wide, [0.5, 2], rtol=0.15)


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backbone": "vgg"}, "backbone is 'vgg', expected one of resnet10"),
        ({"norm": "group"}, "norm is 'group', expected one of batch, frozen"),
        ({"anchors": "16 32"}, "expected 5 sides"),
        ({"ratios": "wide"}, "ratios are 'wide'; expected numbers above 0"),
        ({"version": 3}, "version is 3, expected 1 or 2"),
        ({"frozen_stages": 6}, "frozen_stages is 6, expected 0 to 5"),
        ({"out_channels": 5}, "out_channels is 5; a detector needs 4"),
        ({"width": 4}, "unexpected keyword argument 'width'|it takes"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(options, words):
    with pytest.raises(InputError, match=words):
        build(**options)


@pytest.mark.usefixtures("torchvision")
def test_frozen_stages_are_not_trained_and_all_else_is():
    network = build(frozen_stages=2)
    still = {name.split(".")[2] for name, p in network.named_parameters() if not p.requires_grad}
    assert still == {"conv1", "bn1", "layer1"}


@pytest.mark.usefixtures("torchvision", "one_thread")
def test_it_learns_the_objects_of_two_drawn_images_and_losses_of_an_empty_one_are_finite():
    torch.manual_seed(0)
    network = build()
    ids = torch.zeros(2, 4, 64, 64)
    rows, columns = np.mgrid[:64, :64]
    for image, number, row, column, radius in ((0, 1, 20, 20, 13), (0, 2, 44, 44, 15), (1, 1, 32, 36, 20)):
        ids[image, 0][torch.from_numpy((rows - row) ** 2 + (columns - column) ** 2 < radius**2)] = number
    inside = ids[:, :1] > 0
    images = inside * 0.8 + 0.1 * torch.rand(2, 1, 64, 64)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    network.train()
    for _ in range(30):
        loss = torch.stack(list(network(images, inside[:, 0].byte(), ids).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
    nothing = network(images, torch.zeros(2, 64, 64, dtype=torch.uint8), torch.zeros_like(ids))
    assert all(torch.isfinite(value) for value in nothing.values())
    assert nothing["loss_mask"] == nothing["loss_box_reg"] == 0
    network.eval()
    for image, count in ((0, 2), (1, 1)):
        with torch.inference_mode():
            found = Detections.of_table(network(images[image : image + 1]).numpy())
        owner, score, _ = claims(found, (64, 64))
        owner[score < 0.5] = 0
        for number in range(1, count + 1):
            truth = ids[image, 0].numpy() == number
            best = max(
                (((owner == k) & truth).sum() / ((owner == k) | truth).sum() for k in np.unique(owner[owner > 0])),
                default=0.0,
            )
            assert best > 0.5


@pytest.mark.usefixtures("torchvision")
def test_several_images_at_once_and_training_without_targets_are_refused():
    network = build()
    with pytest.raises(InputError, match="leaves one value a channel at stride 32"):
        network(torch.zeros(1, 1, 32, 32))
    with pytest.raises(InputError, match="training mode needs class maps"):
        network(torch.zeros(1, 1, 64, 64))
    with pytest.raises(InputError, match="one image at a time, got 2"):
        network.eval()(torch.zeros(2, 1, 64, 64))
