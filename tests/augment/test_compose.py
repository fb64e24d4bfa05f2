"""`cellproof.augment.compose`: the whole augmentation is a function of sample and generator state."""

from __future__ import annotations

import numpy as np

from cellproof.augment.color import ChannelJitter, Hue
from cellproof.augment.compose import Augmentation
from cellproof.augment.geometric import Geometric
from cellproof.augment.intensity import Intensity
from cellproof.augment.noise import GaussianNoise
from cellproof.augment.tone import Gamma, Illumination
from cellproof.types import Sample

AUGMENTATION = Augmentation(
    Geometric(patch_px=(24, 24), rotate="any", scale=(0.7, 1.4), elastic_px=1, elastic_sigma_px=12),
    Intensity((Illumination(p=0.5), Gamma(p=0.5), ChannelJitter(p=0.5), Hue(p=0.5), GaussianNoise(p=0.5))),
)


def picture():
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 4, (8, 8)), np.ones((6, 6), int))
    return Sample(rng.random((3, 48, 48), dtype=np.float32), (labels > 0).astype(np.uint8), labels.astype(np.int32))


def test_the_same_generator_state_gives_the_same_patch_bit_for_bit():
    sample = picture()
    first = [AUGMENTATION(sample, rng) for rng in [np.random.default_rng(3)] for _ in range(5)]
    second = [AUGMENTATION(sample, rng) for rng in [np.random.default_rng(3)] for _ in range(5)]
    for one, other in zip(first, second, strict=True):
        assert one.image.tobytes() == other.image.tobytes()
        assert one.class_map.tobytes() == other.class_map.tobytes()
        assert one.instances.tobytes() == other.instances.tobytes()
    assert len({patch.image.tobytes() for patch in first}) == 5


def test_calling_is_drawing_and_applying():
    sample = picture()
    params = AUGMENTATION.draw(np.random.default_rng(7), sample)
    called = AUGMENTATION(sample, np.random.default_rng(7))
    np.testing.assert_array_equal(called.image, AUGMENTATION.apply(sample, params).image)


def test_labels_follow_the_geometry_alone():
    sample = picture()
    params = AUGMENTATION.draw(np.random.default_rng(7), sample)
    patch = AUGMENTATION.apply(sample, params)
    moved = AUGMENTATION.geometric.apply(sample, params.geometric)
    np.testing.assert_array_equal(patch.instances, moved.instances)
    np.testing.assert_array_equal(patch.class_map, moved.class_map)
    assert not np.array_equal(patch.image, moved.image)
