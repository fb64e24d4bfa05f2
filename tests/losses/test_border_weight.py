"""`cellproof.losses.border_weight` and the map that it asks for: the original U-Net's formula, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from cellproof.checks import InputError
from cellproof.data.targets import make_targets
from cellproof.data.targets.border_gap import REACH_PX
from cellproof.losses.border_weight import term
from cellproof.types import Heads, Sample


def drawn(shape=(60, 70), radius=9, centers=((20, 15), (22, 38), (45, 30))):
    rows, columns = np.indices(shape)
    instances = np.zeros(shape, np.int32)
    for number, (row, column) in enumerate(centers, start=1):
        instances[np.hypot(rows - row, columns - column) <= radius] = number
    return instances


def gap_of(instances, ignored=None):
    class_map = (instances > 0).astype(np.uint8)
    if ignored is not None:
        class_map[ignored] = 255
    image = np.zeros((1, *instances.shape), np.float32)
    return make_targets(Sample(image, class_map, instances), Heads(2), ["border_gap"]).maps["border_gap"]


def test_the_map_is_the_sum_of_the_two_smallest_distances():
    instances = drawn()
    distances = np.sort([distance_transform_edt(instances != number) for number in (1, 2, 3)], axis=0)
    expected = np.where((distances[1] <= REACH_PX) & (instances == 0), distances[0] + distances[1], np.inf)
    assert np.isfinite(expected).mean() > 0.5
    np.testing.assert_allclose(gap_of(instances), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "instances", [np.zeros((5, 6), np.int32), np.ones((5, 6), np.int32), drawn(centers=((20, 20),))]
)
def test_without_two_objects_there_is_no_gap(instances):
    assert np.isinf(gap_of(instances)).all()


def test_objects_without_annotation_make_no_gap():
    instances = drawn()
    assert np.isinf(gap_of(instances, ignored=instances > 1)).all()


def test_pixels_count_as_in_the_paper():
    instances = drawn()
    gap = gap_of(instances)
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(1, 2, *instances.shape, generator=generator, dtype=torch.float64)
    class_map = torch.tensor(instances > 0)[None].long()
    w_c = np.where(instances > 0, 3.0, 0.5)
    weights = w_c + 10 * np.exp(-(gap**2) / (2 * 5**2))
    losses = -outputs.log_softmax(1).gather(1, class_map[:, None])[0, 0].numpy()
    found = term(
        outputs,
        class_map,
        class_map=class_map,
        class_weights=torch.tensor([0.5, 3.0]),
        border_gap=torch.tensor(gap)[None],
    )
    assert found.item() == pytest.approx((weights * losses).sum() / weights.sum(), rel=1e-6)


def test_class_maps_without_object_ids_are_refused():
    sample = Sample(np.zeros((1, 4, 4), np.float32), np.zeros((4, 4), np.uint8), None)
    with pytest.raises(InputError, match="the masks are semantic, but the output border_gap needs object ids"):
        make_targets(sample, Heads(2), ["border_gap"])


def test_options_out_of_range_are_refused():
    class_map = torch.zeros(1, 1, 1)
    told = {"class_map": class_map, "class_weights": None, "border_gap": class_map}
    for options in ({"strength": -1.0}, {"sigma_px": 0.0}):
        with pytest.raises(InputError, match="expected at least 0 and above 0"):
            term(torch.zeros(1, 2, 1, 1), class_map, **told, **options)
