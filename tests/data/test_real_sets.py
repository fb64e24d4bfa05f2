from __future__ import annotations

import numpy as np
import pytest
from skimage.io import imread

from cellproof.data.description import describe, read_description
from cellproof.data.folds import hold_out
from cellproof.data.index import index
from cellproof.data.normalization import normalize
from cellproof.data.samples import fix_mask, make_sample
from cellproof.data.targets import heads_of, make_targets
from cellproof.types import IGNORE, Normalization

SETS = {"dsb2018": 531, "glas": 145, "kromp2020": 12, "isbi2012": 20, "cornea": 100, "wbc": 300}


@pytest.fixture(params=SETS)
def real_set(request, data_folder):
    folder = data_folder / request.param
    if not folder.is_dir():
        pytest.skip(f"no {request.param} in {data_folder}")
    description = read_description(folder)
    return folder, description, index(folder, description)


def test_every_image_of_a_real_set_is_indexed(real_set):
    folder, description, records = real_set
    assert description.name == folder.name
    assert len(records) == SETS[folder.name]
    assert {record.split for record in records} <= {"train", "val", "testA"}


def test_real_masks_become_samples_with_sound_targets(real_set):
    _, description, records = real_set
    record = records[len(records) // 2]
    image = imread(record.image)
    pixels = image[np.newaxis] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    mask, notes = fix_mask(imread(record.mask), description)
    window = np.s_[..., :256, :256]
    sample = make_sample(normalize(pixels, Normalization())[window], mask[window], description)
    assert notes == []
    assert set(np.unique(sample.class_map)) <= {*range(len(description.classes) + 1), IGNORE}
    assert 0.3 < np.ptp(sample.image) <= 4
    if sample.instances is not None:
        boundary, distance, *flow = make_targets(sample, heads_of(2, ["boundary", "distance", "flows"])).fields
        inside = sample.instances > 0
        assert 0 < boundary.sum() < inside.sum()
        assert (distance[inside] > 0).all()
        assert np.hypot(*flow)[inside].mean() > 0.97


def test_real_sets_are_recognized_from_their_masks(real_set):
    folder, description, records = real_set
    found, notes = describe(folder.name, [imread(record.mask) for record in records[:6]])
    assert found.masks == description.masks
    if description.masks == "semantic":
        assert (len(found.classes), found.ignore) == (len(description.classes), description.ignore)
    assert len(notes) == 1


def test_patients_stay_on_one_side_of_a_real_split(data_folder):
    folder = data_folder / "glas"
    if not folder.is_dir():
        pytest.skip(f"no glas in {data_folder}")
    records = [record for record in index(folder, read_description(folder)) if record.split == "train"]
    fold = hold_out(records, share=0.2, seed=0, stratify_by="grade")
    patient = {record.name: record.attributes["patient"] for record in records}
    assert not {patient[name] for name in fold.train} & {patient[name] for name in fold.val}
    assert 0.1 < len(fold.val) / len(records) < 0.3
