from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellproof.checks import InputError
from cellproof.data.description import Description
from cellproof.data.index import Record
from cellproof.data.targets import heads_of
from cellproof.recipe.sections import AugmentConfig, DataConfig
from cellproof.types import IGNORE, Sample
from cellproof.workflows.collect.samples import SampleStore, load_sample
from cellproof.workflows.train.augment import augmentation
from cellproof.workflows.train.batches import BatchMaker, draw_weights

HEADS = heads_of(2, ["boundary", "distance", "flows"])


def record(name, **attributes):
    return Record(name, "", name, name, name, attributes)


def disk(value, *, channels=1, side=24):
    rows, columns = np.ogrid[:side, :side]
    instances = ((rows - side / 2) ** 2 + (columns - side / 2) ** 2 < 50).astype(np.int32)
    image = np.full((channels, side, side), value, np.float32) + instances
    return Sample(image, instances.astype(np.uint8), instances)


def maker(samples, *, config=None, exact_share=0.5, seed=3):
    config = config or AugmentConfig()
    kinds = [
        {channels: augmentation(config, patch_px=16, channels=channels, exact=exact) for channels in (1, 3)}
        for exact in (False, True)
    ]
    return BatchMaker(
        store=SampleStore(lambda place: samples[place]),
        weights=np.full(len(samples), 1 / len(samples)),
        free=kinds[0],
        exact=kinds[1],
        exact_share=exact_share,
        heads=HEADS,
        in_channels=3,
        batch=3,
        seed=seed,
    )


def test_a_batch_is_a_function_of_its_step_and_the_seed():
    samples = [disk(0.1), disk(0.4, channels=3)]
    first, again = maker(samples)(5), maker(samples)(5)
    other_step, other_seed = maker(samples)(6), maker(samples, seed=4)(5)
    assert first.images.equal(again.images)
    assert first.fields.equal(again.fields)
    assert not first.images.equal(other_step.images)
    assert not first.images.equal(other_seed.images)


def test_gray_patches_are_repeated_to_the_networks_channels_after_they_were_changed():
    images = maker([disk(0.2)])(0).images
    assert images.shape == (3, 3, 16, 16)
    assert images[:, 1].equal(images[:, 0])
    assert images[:, 2].equal(images[:, 0])


def test_exact_patches_without_intensity_changes_hold_only_pixels_of_the_sample():
    sample = disk(0.0)
    noisy = Sample(np.random.default_rng(0).random((1, 24, 24)).astype(np.float32), sample.class_map, sample.instances)
    batch = maker([noisy], config=AugmentConfig(probability=0.0), exact_share=1.0)(0)
    assert np.isin(batch.images.numpy(), noisy.image).all()


def test_targets_are_made_of_the_patch_as_it_was_cut():
    batch = maker([disk(0.0)], config=AugmentConfig(probability=0.0, foreground_bias=1.0), exact_share=1.0)(1)
    inside = batch.class_map.numpy() == 1
    assert inside.any()
    np.testing.assert_array_equal(inside, batch.images[:, 0].numpy() == 1.0)
    distance, flows = batch.fields[:, 1].numpy(), batch.fields[:, 2:].numpy()
    assert (distance[~inside] == 0).all()
    assert (distance[inside] > 0).all()
    np.testing.assert_allclose(np.linalg.norm(flows, axis=1)[~inside], 0)


@given(st.lists(st.tuples(st.integers(1, 10_000), st.integers(0, 400)), min_size=1, max_size=8), st.floats(0, 2))
@settings(max_examples=30, deadline=None)
def test_images_are_drawn_in_proportion_to_powers_of_their_area_and_their_objects(sizes, power):
    areas, objects = zip(*sizes, strict=True)
    data = DataConfig(area_power=power, object_power=1 - power / 2)
    weights = draw_weights([record(str(i)) for i in range(len(areas))], areas, objects, data)
    expected = np.array([a**power * max(n, 1) ** (1 - power / 2) for a, n in sizes], float)
    np.testing.assert_allclose(weights, expected / expected.sum(), rtol=1e-9)


@pytest.mark.parametrize(("power", "rare_share"), [(0.0, 1 / 2), (0.5, 1 / 4), (1.0, 1 / 10)])
def test_balance_draws_rare_values_in_proportion_to_a_power_of_their_number(power, rare_share):
    records = [record(str(i), stain="common") for i in range(9)] + [record("r", stain="rare")]
    weights = draw_weights(records, [100] * 10, [3] * 10, DataConfig(balance="stain", balance_power=power))
    assert weights.sum() == pytest.approx(1)
    assert weights[-1] == pytest.approx(rare_share)


def test_balance_over_an_attribute_that_a_picture_lacks_is_refused_by_name():
    with pytest.raises(InputError, match="b: no attribute 'stain'; there: day"):
        draw_weights([record("a", stain="x"), record("b", day="1")], [1, 1], [1, 1], DataConfig(balance="stain"))


def test_samples_that_do_not_fit_make_room_for_those_used_last_and_are_read_again():
    read = []
    size = disk(0.0).image.nbytes + disk(0.0).class_map.nbytes + disk(0.0).instances.nbytes
    store = SampleStore(lambda place: read.append(place) or disk(place), most_bytes=2 * size)
    values = [float(store[place].image.min()) for place in (0, 1, 0, 2, 0, 1)]
    assert values == [0, 1, 0, 2, 0, 1]
    assert read == [0, 1, 2, 1]


def test_a_sample_is_normalized_rescaled_and_keeps_what_is_not_annotated(tmp_path):
    from PIL import Image

    image = np.tile(np.arange(32, dtype=np.uint8) * 8, (32, 1))
    mask = np.zeros((32, 32), np.uint8)
    mask[8:16, 8:16], mask[:, 24:] = 1, 255
    for name, pixels in (("image", image), ("mask", mask)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    found = Record("x", "", tmp_path / "image.png", tmp_path / "mask.png", "x")
    description = Description("d", "instances", ignore=255)
    sample, notes = load_sample(found, description, DataConfig(scale=0.5))
    assert notes == []
    assert sample.image.shape == (1, 16, 16)
    assert (sample.class_map[:, 12:] == IGNORE).all()
    assert (sample.instances == 1).sum() == 16
    np.testing.assert_allclose(np.percentile(load_sample(found, description, DataConfig())[0].image, 1), 0, atol=0.05)
