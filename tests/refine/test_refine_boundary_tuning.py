"""The edge of a class moves to where the image has it; nothing else moves."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from cellproof.checks import InputError
from cellproof.refine import apply_steps, check_learning, explain, is_learned, learn_steps, steps_of
from cellproof.refine import boundary_tuning as module
from cellproof.refine.boundary_tuning import Options, edge_band, learn, tune_boundary
from cellproof.refine.roles import Sides
from cellproof.types import IGNORE, Heads, ModelHeader, Prediction, Step

CLASSES = ("background", "neuron")
BRIGHT = {"mean": (0.5,), "sd": (1.0,), "polynomial": (0.0, 1.0)}
"""Inside is where the intensity is above 0.5."""


def cells(seed, *, shape=(96, 110), blur=2.0, noise=0.02):
    """Bright smooth blobs: image, reference, and a network's probabilities, whose edges lie where a blur has them."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), 6)
    reference = (field > np.quantile(field, 0.7)).astype(np.uint8)
    image = (0.2 + 0.6 * reference + rng.normal(0, noise, shape)).astype(np.float32)[None]
    inside = ndimage.gaussian_filter(ndimage.binary_dilation(reference).astype(np.float32), blur)
    probabilities = np.stack([1 - inside, inside])
    return Prediction(probabilities, (inside > 0.5).astype(np.uint8), CLASSES, image=image), reference


def examples(count=6, **options):
    return [cells(seed, **options) for seed in range(count)]


def header(**changes):
    return ModelHeader("m", "unet", Heads(2), CLASSES, 1, 1, 1, **changes)


def test_only_pixels_at_the_edge_are_decided():
    image = np.array([[0.9, 0.1, 0.9, 0.9, 0.9, 0.1, 0.9, 0.9]], np.float32)[None]
    class_map = np.array([[1, 1, 1, 0, 0, 0, 0, IGNORE]], np.uint8)
    found = tune_boundary(class_map, image, image[0], learned=BRIGHT, sides=Sides(1, 0), features=["intensity"])
    assert found.tolist() == [[1, 1, 1, 1, 0, 0, 0, IGNORE]]
    wide = tune_boundary(
        class_map, image, image[0], learned=BRIGHT, sides=Sides(1, 0), features=["intensity"], width_px=3
    )
    assert wide.tolist() == [[1, 0, 1, 1, 1, 0, 0, IGNORE]]


def test_an_edge_to_another_class_is_left_alone():
    class_map = np.array([[1, 1, 2, 0, 0], [1, IGNORE, 0, 0, 1]])
    assert edge_band(class_map, Sides(1, 0), 1).tolist() == [[0, 0, 0, 0, -1], [0, 0, 0, -1, 1]]


def test_each_pixel_of_the_band_is_decided_as_by_a_loop():
    prediction, _ = cells(1, noise=0.3)
    learned, _ = learn(examples(noise=0.3), Options(width_px=2), seed=0)
    found = apply_steps(prediction, [Step("boundary_tuning", {"width_px": 2}, learned)]).class_map
    image, before = prediction.image[0].astype(float), prediction.class_map
    slope = np.hypot(*(ndimage.sobel(image, axis, mode="nearest") for axis in (0, 1))) / 8
    c = dict(
        zip(("111", "11a", "11b", "1aa", "1ab", "1bb", "aaa", "aab", "abb", "bbb"), learned["polynomial"], strict=True)
    )
    away = np.where(before == 1, ndimage.distance_transform_edt(before), ndimage.distance_transform_edt(1 - before))
    moved = 0
    for row, column in np.argwhere(away <= 2)[::7]:
        values = np.array([image[row, column], slope[row, column]])
        of = dict(zip("ab", (values - learned["mean"]) / learned["sd"], strict=True)) | {"1": 1.0}
        decision = sum(weight * np.prod([of[letter] for letter in name]) for name, weight in c.items())
        assert found[row, column] == (decision > 0)
        moved += found[row, column] != before[row, column]
    assert moved > 10
    np.testing.assert_array_equal(found[away > 2], before[away > 2])


@pytest.mark.parametrize("method", ["svm", "bayes", "logistic", "boosting"])
def test_learning_moves_the_edge_to_where_the_image_has_it(method):
    options = {"method": method, "width_px": 2}
    steps, scores = learn_steps([Step("boundary_tuning", options)], examples, seed=0)
    assert scores["boundary_tuning/accuracy"] > 0.97 > 0.9 > scores["boundary_tuning/accuracy_before"]
    assert (scores["boundary_tuning/pixels"], scores["boundary_tuning/images"]) == (300, 6)
    prediction, reference = cells(77)
    after = apply_steps(prediction, steps).class_map
    assert (after != reference).mean() < 0.2 * (prediction.class_map != reference).mean()
    again, _ = learn_steps([Step("boundary_tuning", options)], examples, seed=0)
    assert again == steps


def test_a_step_learns_from_what_those_before_it_leave():
    seen = []

    def keep(given):
        for prediction, reference in given:
            seen.append(prediction.class_map)
            yield prediction, reference

    def learning(given, options, *, seed):
        return learn(keep(given), options, seed=seed)

    row = [Step("closing", {"radius_px": 3}), Step("boundary_tuning"), Step("closing")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "learn", learning)
        steps, _ = learn_steps(row, examples, seed=0)
    assert [bool(step.learned) for step in steps] == [False, True, False]
    for class_map, (prediction, _) in zip(seen, examples(), strict=True):
        np.testing.assert_array_equal(class_map, apply_steps(prediction, row[:1]).class_map)


def test_pixels_without_annotation_teach_nothing():
    given = []
    for prediction, reference in examples():
        unknown = reference.copy()
        unknown[:, :55] = IGNORE
        wrong = prediction.image.copy()
        wrong[:, :, :50] = 1 - wrong[:, :, :50]
        given.append((Prediction(prediction.probabilities, prediction.class_map, CLASSES, image=wrong), unknown))
    _, scores = learn(given, Options(width_px=2), seed=0)
    assert scores["accuracy"] > 0.97


def test_a_step_that_learned_nothing_is_refused():
    assert is_learned("boundary_tuning")
    prediction, reference = cells(0)
    with pytest.raises(InputError, match="'boundary_tuning' has learned nothing yet; name it in"):
        apply_steps(prediction, [Step("boundary_tuning")])
    with pytest.raises(InputError, match="has learned nothing yet"):
        steps_of(header(), [Step("boundary_tuning")])
    with pytest.raises(InputError, match="no edge in the predictions of 1 images"):
        learn([(replace(prediction, class_map=np.ones_like(reference)), reference)], Options(), seed=0)


def test_a_named_step_is_the_one_that_the_model_learned():
    learned, _ = learn(examples(), Options(features="intensity+sd"), seed=0)
    own = Step("boundary_tuning", {"features": "intensity+sd"}, learned)
    model = header(steps=(own,))
    named = (Step("closing"), Step("boundary_tuning"), Step("closing"))
    assert steps_of(model, named) == (Step("closing"), own, Step("closing"))
    assert steps_of(model, [Step("boundary_tuning", {"features": "intensity+sd"})]) == (own,)
    with pytest.raises(InputError, match=r"was learned with features=intensity\+sd, which cannot be changed now"):
        steps_of(model, [Step("boundary_tuning", {"width_px": 2})])
    damaged = header(steps=(Step("boundary_tuning", {"features": "intensity"}, learned),))
    with pytest.raises(InputError, match="step 'boundary_tuning': what was learned is no decision on 1 features"):
        steps_of(damaged)


def test_what_it_decides_by_is_said_and_what_is_no_feature_is_refused():
    step = Step("boundary_tuning", {"method": "bayes", "features": "intensity+sobel+laplacian", "width_px": 2})
    assert explain([step], CLASSES) == [
        "step boundary_tuning: pixels within 2 px of the edge between neuron and background are decided anew by "
        "intensity, sobel, laplacian (bayes)"
    ]
    for features in ("intensity+slope", "sobel+sobel", ""):
        with pytest.raises(InputError, match="expected different ones of intensity, sobel, mean, sd"):
            explain([Step("boundary_tuning", {"features": features})], CLASSES)


def test_an_image_is_needed_and_must_hold_numbers():
    prediction, _ = cells(0)
    learned, _ = learn(examples(2), Options(), seed=0)
    blind = Prediction(prediction.probabilities, prediction.class_map, CLASSES)
    with pytest.raises(InputError, match="needs the image of a prediction"):
        apply_steps(blind, [Step("boundary_tuning", learned=learned)])
    with pytest.raises(InputError, match="features contains"):
        tune_boundary(
            prediction.class_map, prediction.image * np.nan, prediction.image[0], learned=learned, sides=Sides(1, 0)
        )


def test_a_missing_scikit_learn_is_said_before_a_training(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    with pytest.raises(InputError, match="learns with scikit-learn, which is not installed"):
        check_learning([Step("closing"), Step("boundary_tuning")])
    check_learning([Step("closing")])


def test_the_time_does_not_grow_with_the_number_of_cells():
    """One large cell and hundreds of small ones, whose edges are of much the same length, take much the same time."""
    learned, _ = learn(examples(), Options(), seed=0)
    rows, columns = np.mgrid[:520, :704]
    stripes = (rows // 26 % 2).astype(np.uint8)
    tiles = ((rows // 40 + columns // 44) % 2).astype(np.uint8)
    seconds = []
    for class_map in (stripes, tiles):
        image = class_map[None].astype(np.float32)
        took = []
        for _ in range(5):
            start = time.perf_counter()
            tune_boundary(class_map, image, image[0], learned=learned, sides=Sides(1, 0))
            took.append(time.perf_counter() - start)
        seconds.append(min(took))
    assert max(seconds) < 0.25


def test_a_wide_band_between_three_classes_reaches_no_pixel_of_the_third():
    class_map = np.array([[1, 1, 1, 0, 0, 0, 2, 2, 1, 1]])
    assert edge_band(class_map, Sides(1, 0), 2).tolist() == [[0, 2, 1, -1, -2, 0, 0, 0, 0, 0]]
    assert edge_band(class_map, Sides(1, 0), 3).tolist() == [[3, 2, 1, -1, -2, -3, 0, 0, 3, 0]]
