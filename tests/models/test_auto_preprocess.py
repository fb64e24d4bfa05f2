from __future__ import annotations

import numpy as np
import pytest
import torch

from cellproof.checks import InputError
from cellproof.inference.predict import predict
from cellproof.inference.torch_engine import torch_engines
from cellproof.models import auto_preprocess
from cellproof.types import Heads

TINY = {"first_options": "width=4;depth=2", "second_options": "width=4;depth=3"}


def tiny(**options):
    torch.manual_seed(0)
    return auto_preprocess.build(in_channels=1, out_channels=3, **(TINY | options))


@torch.no_grad()
def test_the_output_is_the_weighted_sum_of_the_first_network_and_of_every_translated_image():
    network = tiny().eval()
    network.weigh.copy_(torch.tensor([0.5, 1.0, -2.0, 0.25]))
    image = torch.randn(2, 1, 16, 16)
    filters = torch.relu(network.first(image))
    expected = 0.5 * network.head(filters)
    for c, weight in enumerate((1.0, -2.0, 0.25)):
        expected = expected + weight * network.second(torch.sigmoid(image + filters[:, c : c + 1]))
    torch.testing.assert_close(network(image), expected, rtol=0, atol=1e-5)
    assert network.ensemble_weights == [0.5, 1.0, -2.0, 0.25]


@torch.no_grad()
def test_training_gives_the_output_and_the_outputs_that_it_is_made_of():
    network = tiny(
        ensemble="fixed", first_options="width=4;depth=2;norm=none", second_options="width=4;depth=2;norm=none"
    )
    output, *parts = network.train()(torch.randn(1, 1, 17, 16))
    assert len(parts) == 4
    torch.testing.assert_close(output, sum(parts), rtol=0, atol=1e-5)


def test_fixed_weights_stay_1_and_automated_ones_are_learned():
    assert not tiny(ensemble="fixed").weigh.requires_grad
    network = tiny()
    network.train()(torch.randn(1, 1, 16, 16))[0].square().mean().backward()
    assert network.weigh.grad.abs().min() > 0


@torch.no_grad()
def test_without_ensemble_the_second_network_reads_the_translated_images_as_channels():
    network = tiny(ensemble="none").eval()
    image = torch.randn(1, 1, 16, 16)
    translated = torch.sigmoid(image + torch.relu(network.first(image)))
    torch.testing.assert_close(network(image), network.second(translated), rtol=0, atol=1e-5)
    assert len(network.train()(image)) == 2


@torch.no_grad()
def test_filters_are_not_negative_and_translated_images_lie_between_0_and_1():
    maps = tiny().eval().explain(torch.randn(1, 1, 17, 16))
    assert {map_.shape for map_ in maps.values()} == {(17, 16)}
    assert sorted(maps) == ["filter 0", "filter 1", "filter 2", "translated 0", "translated 1", "translated 2"]
    assert min(float(maps[f"filter {c}"].min()) for c in range(3)) >= 0
    for c in range(3):
        assert 0 < float(maps[f"translated {c}"].min()) <= float(maps[f"translated {c}"].max()) < 1


@torch.no_grad()
def test_an_offset_lifts_the_filters_and_gain_and_middle_place_the_sigmoid():
    plain = tiny().eval()
    changed = tiny(filter_offset=1.0, gain=6.0, middle=0.5).eval()
    image = torch.rand(1, 1, 16, 16)
    maps, before = changed.explain(image), plain.first(image)[0].numpy()
    for c in range(3):
        np.testing.assert_allclose(maps[f"filter {c}"], np.maximum(before[c] + 1, 0), atol=1e-6)
        shifted = 6 * (image[0, 0].numpy() + maps[f"filter {c}"] - 0.5)
        np.testing.assert_allclose(maps[f"translated {c}"], 1 / (1 + np.exp(-shifted)), atol=1e-6)


def test_a_filter_that_is_0_everywhere_has_no_gradient_and_an_offset_gives_it_one():
    found = []
    for offset in (0.0, 5.0):
        network = tiny(filter_offset=offset).train()
        last = [module for module in network.first.modules() if isinstance(module, torch.nn.Conv2d)][-1]
        with torch.no_grad():
            last.weight.mul_(0.01)
            last.bias.fill_(-1.0)
        network(torch.rand(1, 1, 16, 16))[0].square().mean().backward()
        found.append(float(last.bias.grad.abs().max()))
    assert found[0] == 0 < found[1]


def test_an_image_in_tiles_is_segmented_as_the_whole():
    network = tiny(second_options="width=4;depth=2").eval()
    with torch.no_grad():
        network.weigh.copy_(torch.tensor([0.5, 2.0, -3.0, 4.0]))
    engines = torch_engines([network], precision="f32", device="cpu")
    image = np.random.default_rng(0).random((1, 131, 97), dtype=np.float32)
    options = {"heads": Heads(3), "stride_px": network.stride, "halo_px": network.receptive_field_px}
    whole, tiled = predict(engines, image, **options), predict(engines, image, **options, max_pixels=110 * 110)
    assert np.ptp(whole.probabilities) > 0.1
    np.testing.assert_allclose(tiled.probabilities, whole.probabilities, atol=1e-5)


def test_any_two_architectures_are_joined():
    network = auto_preprocess.build(
        in_channels=2,
        out_channels=3,
        first="attention_unet",
        first_options="width=4;depth=2",
        second="unetpp",
        second_options="width=4;depth=3;deep_supervision=true",
    )
    assert network.stride == 4
    assert network.second.heads[1].out_channels == 3
    assert network.train()(torch.randn(2, 2, 16, 16))[0].shape == (2, 3, 16, 16)


def teach(teacher, **options):
    return tiny(teacher=teacher, **options).train()


@pytest.mark.parametrize("ensemble", ["none", "automated"])
@pytest.mark.parametrize("teacher", ["denoising", "clustering"])
def test_without_labels_the_segmentation_teaches_the_first_network_nothing(teacher, ensemble):
    network = teach(teacher, ensemble=ensemble)
    *labeled, views = network(torch.randn(2, 1, 16, 16))
    sum(output.square().mean() for output in labeled).backward(retain_graph=True)
    assert all(value.grad is None for value in network.first.parameters())
    assert network.head.weight.grad.abs().max() > 0
    (views[0] - views[1]).square().mean().backward()
    assert max(float(value.grad.abs().max()) for value in network.first.parameters()) > 0


@torch.no_grad()
def test_denoising_predicts_pixels_that_were_hidden():
    network = teach("denoising", first_options="width=4;depth=2;norm=none")
    image = torch.randn(1, 1, 16, 16)
    torch.manual_seed(3)
    row, column = (int(torch.randint(4, ())) for _ in range(2))
    torch.manual_seed(3)
    predicted, hidden = network(image)[-1]
    torch.testing.assert_close(hidden, image[..., row::4, column::4])
    # Whatever a hidden pixel was, the prediction of it is the same.
    other = image.clone()
    other[..., row::4, column::4] += 10 * torch.randn(1, 1, 4, 4)
    torch.manual_seed(3)
    again, shown = network(other)[-1]
    torch.testing.assert_close(again, predicted)
    assert not torch.allclose(shown, hidden)


@torch.no_grad()
def test_clustering_compares_a_pixel_with_itself_in_a_changed_copy(monkeypatch):
    monkeypatch.setattr(auto_preprocess, "_changed", lambda image: image + 0.01)
    network = teach("clustering", first_options="width=4;depth=2;norm=none")
    with torch.no_grad():
        for value in network.first.parameters():
            if value.ndim == 4:  # a network that does not tell left from right
                value.copy_((value + value.flip(-1)) / 2)
    ours, theirs = network(torch.randn(1, 1, 16, 16))[-1]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.05)
    assert (ours - theirs.flip(-1)).abs().max() > 5 * (ours - theirs).abs().max()


def test_only_learned_weights_are_watched():
    assert tiny(ensemble="fixed").watched() == tiny(ensemble="none").watched() == {}
    assert tiny().watched() == {
        "weight of first network": 1.0,
        "weight of translated 0": 1.0,
        "weight of translated 1": 1.0,
        "weight of translated 2": 1.0,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ensemble": "learned"}, "ensemble is 'learned', expected one of none, fixed, automated"),
        ({"teacher": "nobody"}, "teacher is 'nobody', expected one of labels, denoising, clustering"),
        ({"first_options": "width=4;out_channels=7"}, "set out_channels=7, but .* read 1 and give 3 channels"),
        ({"first_options": "width"}, "option 'width' has no value"),
        ({"second_options": "breadth=3"}, "unexpected keyword argument 'breadth'"),
        ({"first": "vnet"}, "vnet"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises((InputError, ValueError), match=message):
        tiny(**options)
