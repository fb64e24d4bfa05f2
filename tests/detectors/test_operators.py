"""Operators in plain torch against hand-computed cases, a loop over samples, and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cellproof.detectors._operators import nms, roi_align


def bilinear(plane, row, column):
    """A sample as the paper's figure has it: 0 beyond one pixel outside, else of the nearest pixels."""
    height, width = len(plane), len(plane[0])
    if row < -1 or row > height or column < -1 or column > width:
        return 0.0
    row, column = min(max(row, 0.0), height - 1.0), min(max(column, 0.0), width - 1.0)
    top, left = min(int(row), height - 2 if height > 1 else 0), min(int(column), width - 2 if width > 1 else 0)
    total = 0.0
    for i in (top, min(top + 1, height - 1)):
        for j in (left, min(left + 1, width - 1)):
            total += plane[i][j] * max(0.0, 1 - abs(row - i)) * max(0.0, 1 - abs(column - j))
    return total


def looped(features, rois, scale, height, width, sampling, aligned):
    """RoIAlign sample by sample."""
    result = []
    for image, left, top, right, bottom in rois.tolist():
        shift = 0.5 if aligned else 0.0
        left, top, right, bottom = (value * scale - shift for value in (left, top, right, bottom))
        wide, high = right - left, bottom - top
        if not aligned:
            wide, high = max(wide, 1.0), max(high, 1.0)
        down = sampling if sampling > 0 else max(1, math.ceil(high / height))
        across = sampling if sampling > 0 else max(1, math.ceil(wide / width))
        for plane in features[int(image)].tolist():
            for i in range(height):
                for j in range(width):
                    samples = [
                        bilinear(
                            plane,
                            top + (i + (a + 0.5) / down) * high / height,
                            left + (j + (b + 0.5) / across) * wide / width,
                        )
                        for a in range(down)
                        for b in range(across)
                    ]
                    result.append(sum(samples) / len(samples))
    return torch.tensor(result, dtype=features.dtype).reshape(len(rois), features.shape[1], height, width)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), sampling=st.sampled_from([-1, 0, 1, 2]), aligned=st.booleans())
def test_roi_align_is_the_loop_over_samples_also_at_the_edges_and_outside(seed, sampling, aligned):
    generator = torch.Generator().manual_seed(seed)
    features = torch.rand(2, 2, 6, 9, generator=generator, dtype=torch.float64)
    corner = torch.rand(5, 2, generator=generator, dtype=torch.float64) * 24 - 4
    size = torch.rand(5, 2, generator=generator, dtype=torch.float64) * 14
    image = torch.randint(0, 2, (5, 1), generator=generator)
    rois = torch.cat([image, corner, corner + size], dim=1)
    found = roi_align(features, rois, 0.5, 3, 2, sampling, aligned)
    torch.testing.assert_close(found, looped(features, rois, 0.5, 3, 2, sampling, aligned), atol=1e-12, rtol=1e-12)


def test_roi_align_of_a_ramp_is_the_ramp_at_the_centers_of_cells():
    ramp = torch.arange(8.0, dtype=torch.float64).expand(1, 1, 8, 8)
    # Pixel k has its center at k + 0.5; the cells of [1, 7) have theirs at 2, 4 and 6.
    found = roi_align(ramp, torch.tensor([[0.0, 1, 1, 7, 7]], dtype=torch.float64), 1.0, 1, 3, 2, True)
    assert found.flatten().tolist() == pytest.approx([1.5, 3.5, 5.5])


def test_gradient_of_roi_align_is_that_of_finite_differences():
    features = torch.rand(1, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[0.0, 0.3, 0.7, 4.1, 3.9], [0, -2, 1, 2, 9]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: roi_align(x, rois, 1.0, 2, 2, 2, True), features)


def test_no_boxes_give_nothing_and_a_gradient_of_zero():
    features = torch.rand(1, 2, 5, 5, requires_grad=True)
    found = roi_align(features, torch.zeros(0, 5), 1.0, 7, 7, 2, False)
    found.sum().backward()
    assert found.shape == (0, 2, 7, 7)
    assert not features.grad.any()
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []


def test_nms_keeps_boxes_at_the_threshold_and_drops_those_above():
    # IoU of the first two: 5 × 10 / (100 + 100 - 50) = 1/3.
    boxes = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [100, 0, 110, 10]], dtype=torch.float64)
    scores = torch.tensor([0.5, 0.9, 0.1])
    assert nms(boxes, scores, 0.34).tolist() == [1, 0, 2]
    assert nms(boxes, scores, 0.33).tolist() == [1, 2]


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), threshold=st.sampled_from([0.1, 0.3, 0.5, 0.7]))
def test_nms_is_the_greedy_choice_pair_by_pair(seed, threshold):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, 12, (14, 2), generator=generator).float()
    boxes = torch.cat([corner, corner + torch.randint(1, 9, (14, 2), generator=generator)], dim=1)
    scores = torch.randint(0, 6, (14,), generator=generator) / 5

    def iou(one, other):
        wide = min(one[2], other[2]) - max(one[0], other[0])
        high = min(one[3], other[3]) - max(one[1], other[1])
        shared = max(wide, 0) * max(high, 0)
        area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
        return shared / (area - shared)

    kept = []
    for place in sorted(range(14), key=lambda i: -scores[i].item()):
        if all(iou(boxes[place].tolist(), boxes[other].tolist()) <= threshold + 1e-7 for other in kept):
            kept.append(place)
    assert nms(boxes, scores, threshold).tolist() == kept


def test_torchvision_calls_the_same_functions(torchvision):
    features, rois = torch.rand(1, 3, 8, 8), torch.tensor([[0.0, 1.2, 2.3, 6.4, 7.1]])
    expected = roi_align(features, rois, 0.5, 7, 7, 2, False)
    found = torchvision.ops.roi_align(features, rois, (7, 7), spatial_scale=0.5, sampling_ratio=2)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    boxes, scores = torch.rand(20, 4).cumsum(1), torch.rand(20)
    assert torchvision.ops.nms(boxes, scores, 0.3).tolist() == nms(boxes, scores, 0.3).tolist()
