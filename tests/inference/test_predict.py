"""Laws of prediction: tiled = whole, views of an equivariant network agree, members are averaged after activation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from torch import nn

from cellproof.checks import InputError
from cellproof.data.targets import heads_of
from cellproof.inference.activate import Maps, activate
from cellproof.inference.predict import predict
from cellproof.inference.torch_engine import torch_engines
from cellproof.inference.tta import EIGHT_VIEWS, ONE_VIEW, View
from cellproof.types import Heads

HEADS = heads_of(3, ["boundary", "distance", "flows"])


class Toy:
    """An engine that is a formula."""

    name = "toy"
    precision = "f32"
    device = "cpu"
    reason = "a test"
    bytes_per_pixel = 1

    def __init__(self, formula: Callable[[np.ndarray], np.ndarray]) -> None:
        self._formula = formula

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return self._formula(batch[0])[np.newaxis].astype(np.float32)


def _stack(maps: Maps) -> np.ndarray:
    return np.concatenate([maps.probabilities, *maps.fields.values()])


@pytest.mark.parametrize("views", [ONE_VIEW, EIGHT_VIEWS], ids=["one view", "eight views"])
@pytest.mark.parametrize("shape", [(131, 97), (96, 128), (1, 150), (5, 3)], ids=str)
def test_tiled_equals_whole(
    rng: np.random.Generator, make_net: Callable[..., nn.Module], shape: tuple[int, int], views: tuple[View, ...]
) -> None:
    engines = torch_engines([make_net()], precision="f32", device="cpu")
    image = rng.random((2, *shape), dtype=np.float32)
    whole = predict(engines, image, heads=HEADS, stride_px=4, halo_px=22, views=views)
    tiled = predict(engines, image, heads=HEADS, stride_px=4, halo_px=22, views=views, max_pixels=60 * 60)
    assert _stack(whole).shape == (7, *shape)
    np.testing.assert_allclose(_stack(tiled), _stack(whole), atol=1e-4)


def test_an_image_of_odd_size_is_mirrored_at_its_lower_and_right_edges(
    rng: np.random.Generator, make_net: Callable[..., nn.Module]
) -> None:
    engines = torch_engines([make_net()], precision="f32", device="cpu")
    image = rng.random((2, 30, 21), dtype=np.float32)
    padded = np.pad(image, ((0, 0), (0, 2), (0, 3)), mode="reflect")
    expected = activate(engines[0](padded[np.newaxis])[0], heads=HEADS)
    result = predict(engines, image, heads=HEADS, stride_px=4, halo_px=22)
    np.testing.assert_allclose(_stack(result), _stack(expected)[:, :30, :21], atol=1e-6)


@pytest.mark.parametrize("blend", [False, True], ids=["cores", "blended"])
def test_a_constant_image_comes_back_constant(blend: bool) -> None:
    toy = Toy(lambda image: np.concatenate([image, image + 1, image]))
    image = np.full((1, 70, 51), 0.25, np.float32)
    heads = heads_of(2, ["distance"])
    maps = predict([toy], image, heads=heads, stride_px=4, halo_px=4, max_pixels=400, blend=blend)
    np.testing.assert_allclose(maps.fields["distance"][0], 0.25, atol=1e-6)
    np.testing.assert_allclose(maps.probabilities[1], 1 / (1 + np.exp(-1)), atol=1e-6)


def test_blending_hides_the_seam_of_windows_that_disagree(rng: np.random.Generator) -> None:
    toy = Toy(lambda image: np.concatenate([image, np.full_like(image, image.mean())]))
    image = np.linspace(0, 1, 64, dtype=np.float32)[np.newaxis, np.newaxis].repeat(8, 1)
    steps = {}
    for blend in (False, True):
        maps = predict(
            [toy], image, heads=heads_of(1, ["distance"]), stride_px=4, halo_px=12, max_pixels=320, blend=blend
        )
        steps[blend] = np.abs(np.diff(maps.fields["distance"][0], axis=1)).max()
    assert steps[True] < steps[False] / 5


def test_views_of_an_equivariant_network_change_nothing(rng: np.random.Generator) -> None:
    def formula(image: np.ndarray) -> np.ndarray:
        across = np.gradient(image[0], axis=1)
        down = np.gradient(image[0], axis=0)
        return np.stack([image[0], -image[0], across**2 + down**2, image[0] / 2, down, across])

    heads = heads_of(2, ["boundary", "distance", "flows"])
    image = rng.random((1, 24, 36), dtype=np.float32)
    once = predict([Toy(formula)], image, heads=heads, stride_px=4, halo_px=4)
    eight = predict([Toy(formula)], image, heads=heads, stride_px=4, halo_px=4, views=EIGHT_VIEWS)
    np.testing.assert_allclose(_stack(eight), _stack(once), atol=1e-6)


def test_views_average_what_is_not_equivariant() -> None:
    toy = Toy(lambda image: np.stack([np.zeros_like(image[0]), np.indices(image[0].shape)[1] / 7]))
    maps = predict(
        [toy],
        np.zeros((1, 8, 8), np.float32),
        heads=heads_of(1, ["distance"]),
        stride_px=4,
        halo_px=0,
        views=EIGHT_VIEWS,
    )
    np.testing.assert_allclose(maps.fields["distance"][0], 0.5, atol=1e-6)


def test_members_are_averaged_after_activation() -> None:
    sure = Toy(lambda image: np.stack([image[0], image[0] + 50]))
    unsure = Toy(lambda image: np.stack([image[0], image[0]]))
    image = np.zeros((1, 6, 5), np.float32)
    maps = predict([sure, unsure, unsure], image, heads=Heads(classes=2), stride_px=1, halo_px=0, temperature=2.0)
    np.testing.assert_allclose(maps.probabilities[1], (1 + 0.5 + 0.5) / 3, atol=1e-6)


@pytest.mark.parametrize("views", [ONE_VIEW, EIGHT_VIEWS], ids=["one view", "eight views"])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("blend", [False, True], ids=["cores", "blended"])
def test_the_mean_of_what_each_network_says_of_each_view_is_the_prediction(
    rng: np.random.Generator,
    make_net: Callable[..., nn.Module],
    views: tuple[View, ...],
    temperature: float,
    blend: bool,
) -> None:
    engines = torch_engines([make_net(seed=0), make_net(seed=1)], precision="f32", device="cpu")
    image = rng.random((2, 61, 50), dtype=np.float32)
    said: list[tuple[int, np.ndarray]] = []
    options = {
        "heads": HEADS,
        "stride_px": 4,
        "halo_px": 22,
        "views": views,
        "temperature": temperature,
        "blend": blend,
    }
    tiled = predict(
        engines, image, max_pixels=60 * 60, each=lambda member, maps: said.append((member, _stack(maps))), **options
    )
    assert [member for member, _ in said] == [0] * len(views) + [1] * len(views)
    np.testing.assert_allclose(np.mean([maps for _, maps in said], axis=0), _stack(tiled), atol=1e-6)
    # Where the image lay: each view's maps are those of the view predicted alone, in one piece.
    np.testing.assert_array_equal(_stack(predict(engines, image, max_pixels=60 * 60, **options)), _stack(tiled))
    whole = predict(engines[:1], image, **options | {"views": ONE_VIEW})
    np.testing.assert_allclose(said[0][1], _stack(whole), atol=1e-4)


def test_each_view_comes_back_to_where_the_image_lay(rng: np.random.Generator) -> None:
    toy = Toy(lambda image: np.stack([image[0], -image[0]]))
    image = rng.random((1, 8, 12), dtype=np.float32)
    said: list[np.ndarray] = []
    maps = predict(
        [toy],
        image,
        heads=Heads(classes=2),
        stride_px=4,
        halo_px=0,
        views=EIGHT_VIEWS,
        each=lambda _, maps: said.append(maps.probabilities),
    )
    assert len(said) == 8
    for probabilities in said:
        np.testing.assert_allclose(probabilities, maps.probabilities, atol=1e-6)


def test_progress_counts_every_run_of_a_network() -> None:
    toy = Toy(lambda image: image)
    told: list[tuple[int, int]] = []
    predict(
        [toy, toy],
        np.zeros((1, 16, 32), np.float32),
        heads=Heads(classes=1),
        stride_px=4,
        halo_px=0,
        max_pixels=256,
        views=EIGHT_VIEWS,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(number, 32) for number in range(1, 33)]


def test_the_image_is_left_as_it_was(rng: np.random.Generator) -> None:
    image = rng.random((2, 9, 9), dtype=np.float32)
    before = image.copy()
    predict(torch_engines([nn.Identity()]), image, heads=Heads(classes=2), stride_px=1, halo_px=0)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("shape", "engines", "message"),
    [((5, 5), 1, "expected 3 axes"), ((1, 0, 5), 1, "expected at least one of each"), ((1, 5, 5), 0, "got 0 engines")],
    ids=["two axes", "no pixels", "no engine"],
)
def test_an_impossible_request_is_refused(shape: tuple[int, ...], engines: int, message: str) -> None:
    toys = [Toy(lambda image: image)] * engines
    with pytest.raises(InputError, match=message):
        predict(toys, np.zeros(shape, np.float32), heads=Heads(classes=1), stride_px=1, halo_px=0)
