"""One plane through the wiring, with an engine whose answer is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pytest

from cellproof.checks import InputError
from cellproof.data.description import Description
from cellproof.data.index import index
from cellproof.data.targets import heads_of
from cellproof.io.png import write_png
from cellproof.types import Heads, InstanceOptions, IntensityStatistics, ModelHeader, Normalization, Step
from cellproof.workflows.predict.load import Model, find_model
from cellproof.workflows.predict.objects import Timings, too_large_by
from cellproof.workflows.predict.predictor import Predictor
from cellproof.workflows.reproduce.predictions import predict_record, read_reference
from cellproof.workflows.segment.plane import segment_plane


@dataclass
class Brightness:
    """An engine that calls bright pixels foreground, the surer the brighter."""

    name: str = "drawn"
    precision: str = "f32"
    device: str = "cpu"
    reason: str = "for a test"
    bytes_per_pixel: int = 100
    classes: int = 2
    seen: list[tuple[int, ...]] = field(default_factory=list)

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.seen.append(batch.shape)
        gray = batch.mean(axis=1, keepdims=True)
        centers = np.linspace(0, 1, self.classes)[None, :, None, None]
        return (-20 * (gray - centers) ** 2).astype(np.float32)


def model_of(engine: Brightness, **changes: object) -> Model:
    header = ModelHeader(
        name="drawn",
        architecture="drawn",
        heads=Heads(engine.classes),
        classes=("dark", "bright", "brighter")[: engine.classes],
        in_channels=1,
        stride_px=1,
        receptive_field_px=0,
        normalization=Normalization(0, 100),
        instance=InstanceOptions(method="components", smallest_area_px=1),
    )
    return Model(msgspec.structs.replace(header, **changes), "hash", (engine,), Path("drawn"))


def discs(*, side_px: int = 256, pitch_px: int, radius_px: float) -> np.ndarray:
    """A grid of bright discs on a dark ground, (1, H, W)."""
    rows, columns = np.mgrid[:side_px, :side_px]
    distance = np.hypot(rows % pitch_px - pitch_px / 2, columns % pitch_px - pitch_px / 2)
    return np.where(distance <= radius_px, 200, 10)[None].astype(np.uint8)


def test_bright_discs_are_found_counted_and_measured():
    result = segment_plane(model_of(Brightness()), discs(pitch_px=64, radius_px=20), pixel_size_um=0.5)
    assert result.quality.count == result.labels.max() == 16
    assert result.objects["area"].sum() == (result.labels > 0).sum()
    np.testing.assert_allclose(result.objects["equivalent_diameter_area"], 40, rtol=0.02)
    np.testing.assert_allclose(result.objects["area_um2"], result.objects["area"] * 0.25)
    np.testing.assert_array_equal(result.objects["intensity_mean-0"], np.full(16, 200.0))


def test_difficulty_is_highest_where_brightness_lies_between_the_classes():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (8, 1))[None]
    difficulty = segment_plane(model_of(Brightness()), ramp).difficulty
    assert difficulty.argmax(axis=1).tolist() == pytest.approx([127.5] * 8, abs=1)
    assert difficulty[:, [0, -1]].max() < 0.01


def test_semantic_models_write_their_class_values_and_number_their_regions():
    pixels = np.array([[[0, 0, 127, 0, 255, 255]]], np.uint8)
    result = segment_plane(model_of(Brightness(classes=3)), pixels)
    assert result.classes.tolist() == [[0, 0, 1, 0, 2, 2]]
    assert result.labels.tolist() == [[0, 0, 1, 0, 2, 2]]
    assert result.objects["class"].tolist() == [1, 2]


def test_a_model_of_another_scale_answers_on_the_grid_of_the_image():
    engine = Brightness()
    pixels = discs(pitch_px=64, radius_px=20)
    half = segment_plane(model_of(engine, scale=0.5), pixels, tta=False)
    assert engine.seen == [(1, 1, 128, 128)]
    whole = segment_plane(model_of(Brightness()), pixels)
    assert half.labels.shape == whole.labels.shape
    assert (half.classes != whole.classes).mean() < 0.01
    assert half.quality.count == 16


@pytest.mark.parametrize(("side_px", "scale"), [(64, 2.0), (256, 0.5), (128, 1.0), (1024, 1.0), (16, 1.0)])
def test_cut_outs_are_brought_to_the_side_of_the_training_images(side_px, scale):
    predictor = Predictor.of_model(model_of(Brightness(), fit_side_px=128))
    assert predictor.first_scale((side_px, 2 * side_px)) == scale


def fitting_model(engine: Brightness) -> Model:
    known = IntensityStatistics(object_diameter_px=(10.0, 20.0, 30.0))
    return model_of(engine, fit_objects=True, statistics=known, heads=heads_of(2, ["boundary"]))


class Heady(Brightness):
    """The same with an empty boundary channel, so that the model has instances."""

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        outputs = super().__call__(batch)
        return np.concatenate([outputs, np.zeros_like(outputs[:, :1])], axis=1)


def test_pictures_of_much_larger_objects_are_shrunk_to_the_known_size():
    engine = Heady()
    result = segment_plane(fitting_model(engine), discs(side_px=512, pitch_px=256, radius_px=100), tta=False)
    known_px = np.sqrt(20 * 30)
    assert engine.seen == [(1, 1, 512, 512), (1, 1, *[round(512 * known_px / 200)] * 2)]
    assert result.quality.count == 4
    np.testing.assert_allclose(result.objects["equivalent_diameter_area"], 200, rtol=0.02)


def test_pictures_of_known_objects_are_looked_at_once():
    engine = Heady()
    segment_plane(fitting_model(engine), discs(pitch_px=64, radius_px=15), tta=False)
    assert len(engine.seen) == 1


@pytest.mark.parametrize(("side_px", "tta", "looks"), [(64, False, 1), (64, True, 8), (640, True, 8), (640, "auto", 1)])
def test_images_are_predicted_in_one_view_or_in_eight_whatever_their_size(side_px, tta, looks):
    engine = Brightness()
    result = segment_plane(model_of(engine), discs(side_px=side_px, pitch_px=64, radius_px=20), tta=tta)
    assert len(engine.seen) == result.views == looks


@pytest.mark.parametrize("side_px", [64, 640])
def test_an_image_in_doubt_is_predicted_in_three_more_views_whatever_its_size(side_px):
    engine = Brightness()
    empty = np.full((1, side_px, side_px), 7, np.uint16)
    result = segment_plane(model_of(engine), empty)
    assert result.quality.verdict != "accept"
    assert len(engine.seen) == result.views == 4
    once = segment_plane(model_of(engine), empty, tta=False)
    assert (once.views, once.quality.verdict) == (1, result.quality.verdict)


def test_size_goes_by_the_object_of_the_median_pixel():
    header = fitting_model(Heady()).header
    labels = np.zeros((400, 400), np.int32)
    labels[:300, :300] = 1
    labels[350, ::2] = np.arange(2, 202)
    assert too_large_by(labels, header, scale=1.0) == pytest.approx(np.sqrt(4 * 90000 / np.pi) / np.sqrt(600))
    assert too_large_by(labels, header, scale=0.1) == 1
    assert too_large_by(np.zeros((4, 4), np.int32), header, scale=1.0) == 1


def test_an_empty_picture_has_no_objects_and_wants_a_look():
    result = segment_plane(model_of(Brightness()), np.full((1, 32, 32), 7, np.uint16))
    assert result.labels.max() == 0
    assert result.quality.verdict != "accept"
    assert len(result.objects["label"]) == 0


def test_timings_add_up_over_planes():
    timings = Timings()
    model = model_of(Brightness())
    for _ in range(2):
        segment_plane(model, np.zeros((1, 8, 16), np.uint8), timings=timings)
    assert timings.pixels == 2 * 8 * 16
    assert min(timings.network_s, timings.instances_s, timings.rest_s) > 0


def test_not_a_number_and_missing_channels_are_refused():
    with pytest.raises(InputError, match="1 NaN"):
        segment_plane(model_of(Brightness()), np.array([[[0.0, np.nan]]]))
    with pytest.raises(InputError, match="2 channels, the model reads 1"):
        segment_plane(model_of(Brightness()), np.array([[[0.0, 1, 5]], [[5.0, 1, 0]]]))


def test_a_model_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(InputError, match="no model 'nucleus'"):
        find_model("nucleus")


def predictor_of(engine: Brightness, *, radius_px: int) -> Predictor:
    return Predictor.of_model(model_of(engine, receptive_field_px=radius_px, stride_px=32))


def test_a_window_grows_to_what_the_receptive_field_needs_while_memory_allows():
    predictor = predictor_of(Brightness(bytes_per_pixel=500), radius_px=800)
    windows = predictor.windows((2000, 2000), channels=1, max_memory_bytes=None)
    assert (windows.halo_px, windows.blend) == (800, False)
    assert windows.max_pixels == (2 * 800 + 32) ** 2
    assert predictor.note((2000, 2000), channels=1, max_memory_bytes=None) == ""


def test_a_receptive_field_beyond_any_window_is_blended_and_that_is_reported():
    engine = Brightness(bytes_per_pixel=1000)
    predictor = predictor_of(engine, radius_px=1171)
    image = np.zeros((1, 2000, 2000), np.float32)
    image[:, :, 900:1300] = 1
    maps = predictor.predict(image, scale=1.0)
    assert max(shape[2] * shape[3] for shape in engine.seen) <= 1_500_000
    np.testing.assert_array_equal(maps.probabilities.argmax(axis=0), image[0].astype(int))
    note = predictor.note((2000, 2000), channels=1, max_memory_bytes=None)
    assert note.startswith("the network sees 1171 px around each pixel")
    assert "blended" in note


def test_little_memory_makes_smaller_windows_and_then_blends():
    predictor = predictor_of(Brightness(bytes_per_pixel=1000), radius_px=200)
    exact = predictor.windows((3000, 3000), channels=1, max_memory_bytes=1_000_000_000)
    assert not exact.blend
    assert exact.max_pixels < 1_500_000
    tight = predictor.windows((3000, 3000), channels=1, max_memory_bytes=700_000_000)
    assert tight.blend
    assert tight.halo_px < 200


def test_a_network_of_another_scale_is_scored_on_the_grid_that_it_knows(tmp_path):
    _, columns = np.mgrid[:64, :96]
    image = np.where((columns // 16) % 2, 200, 20).astype(np.uint8)
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    write_png(tmp_path / "images" / "a.png", image)
    write_png(tmp_path / "masks" / "a.png", (image > 100).astype(np.uint8))
    description = Description("bars", "semantic", ("dark", "bright"))
    (record,) = index(tmp_path, description)
    engine = Brightness()
    predicted = predict_record(model_of(engine, scale=0.5), record, read_reference(record, description))
    assert {shape[2:] for shape in engine.seen} == {(32, 48), (48, 32)}
    assert predicted.probabilities.shape == (2, 64, 96)
    assert (predicted.classes == (image > 100)).mean() > 0.9


def test_where_a_repair_changes_pixels_the_difficulty_map_says_so():
    bands = np.zeros((1, 40, 40), np.uint8)
    bands[:, 10:18], bands[:, 20:28], bands[:, 18:20] = 255, 255, 60
    steps = (Step("closing", {"inside": "bright", "outside": "dark"}),)
    one, other = (segment_plane(model_of(Brightness(), steps=chosen), bands) for chosen in ((), steps))
    changed = one.classes != other.classes
    # At the image's edge a closing leaves gaps open.
    np.testing.assert_array_equal(changed[18:20, 1:-1], np.ones((2, 38), bool))
    assert changed.sum() == 76
    np.testing.assert_array_equal(one.difficulty[~changed], other.difficulty[~changed])
    # The network says bright with a probability far below a guess.
    np.testing.assert_array_equal(other.difficulty[changed], np.ones(76, np.float32))
    assert one.difficulty[changed].max() < 0.1
    assert other.objects["confidence"][0] < one.objects["confidence"].min()


def test_a_class_map_expects_an_iou_of_each_class_and_objects_none():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (8, 1))[None]
    sure, ends = (
        segment_plane(model_of(Brightness()), discs(pitch_px=64, radius_px=20)),
        segment_plane(model_of(Brightness(classes=3)), ramp),
    )
    assert np.allclose(sure.quality.expected_iou, 1, atol=1e-6)
    assert len(ends.quality.expected_iou) == 3
    assert 0.7 < ends.quality.expected_iou[1] < ends.quality.expected_iou[0] < 1
