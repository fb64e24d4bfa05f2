from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from cellproof.analysis.receptive_field import (
    diameter_px,
    effective_receptive_field,
    influence_map,
    layer_influence,
    levels,
    radius_px,
    reach_px,
)
from cellproof.checks import InputError


def convolutions(number, *, channels=1):
    """A chain of 3 × 3 convolutions whose weights are all one."""
    chain = nn.Sequential(
        *(nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(number)),
    )
    for parameter in chain.parameters():
        nn.init.ones_(parameter)
    return chain.double()


def test_the_influence_on_a_convolution_is_its_kernel():
    convolution = nn.Conv2d(1, 1, 3, padding=1).double()
    kernel = torch.tensor([[1.0, -2, 3], [4, -5, 6], [7, 8, -9]]).double()
    convolution.weight.data = kernel[None, None]
    expected = np.zeros((5, 6))
    expected[1:4, 2:5] = np.abs(kernel.numpy())
    assert np.array_equal(influence_map(convolution, np.zeros((1, 5, 6)), position=(2, 3)), expected)


def test_influence_is_summed_over_channels_without_cancelling():
    convolution = nn.Conv2d(2, 2, 1).double()
    convolution.weight.data = torch.tensor([[1.0, 2], [-1, -2]]).double()[:, :, None, None]
    assert influence_map(convolution, np.zeros((2, 1, 1)), position=(0, 0)) == [[6]]


def test_n_uniform_convolutions_give_binomial_weights():
    # Luo et al. section 2.1: n kernels (1, 1, 1) convolved; along a row for n = 2: 1 2 3 2 1.
    influence = influence_map(convolutions(2), np.zeros((1, 5, 5)), position=(2, 2))
    assert np.array_equal(influence, np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1]))


def test_the_effective_field_of_n_convolutions_grows_with_the_root_of_n():
    # Luo et al.: the variance along an axis is n (k² - 1) / 12 with kernel width k = 3.
    influence = influence_map(convolutions(8), np.zeros((1, 21, 21)), position=(10, 10))
    weights = influence.sum(0) / influence.sum()
    assert (weights * (np.arange(21) - 10.0) ** 2).sum() == pytest.approx(8 * 8 / 12)


def test_the_mean_map_is_reproducible_and_the_mean_of_its_maps():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 3, padding=1)).double()
    options = {"in_channels": 2, "size_px": (7, 8), "position": (3, 3)}
    mean = effective_receptive_field(network, rng=np.random.default_rng(4), images=3, **options)
    rng = np.random.default_rng(4)
    maps = [influence_map(network, rng.standard_normal((2, 7, 8)), position=(3, 3)) for _ in range(3)]
    np.testing.assert_allclose(mean, np.mean(maps, axis=0), rtol=1e-12)
    assert mean.dtype == np.float64


def test_the_network_is_left_as_it_was():
    network = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    influence_map(network.train(), np.ones((1, 4, 4)), position=(0, 0))
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_disc_holds_the_stated_share():
    influence = np.zeros((9, 9))
    influence[4, 4], influence[4, 6], influence[1, 4] = 90, 6, 4
    assert radius_px(influence, position=(4, 4), share=0.9) == 0
    assert radius_px(influence, position=(4, 4), share=0.95) == 2
    assert radius_px(influence, position=(4, 4), share=1.0) == 3


def test_reach_is_the_largest_row_or_column_distance():
    influence = np.zeros((9, 9))
    influence[0, 7] = 1e-300
    assert reach_px(influence, position=(4, 4)) == 4
    assert reach_px(influence, position=(8, 0)) == 8


def test_where_nothing_has_influence_radius_is_undefined_and_reach_is_zero():
    assert math.isnan(radius_px(np.zeros((3, 3)), position=(1, 1)))
    assert reach_px(np.zeros((3, 3)), position=(1, 1)) == 0


def test_a_position_outside_the_image_is_refused():
    with pytest.raises(InputError, match=r"position \(5, 0\) lies outside the image of 5 × 6 pixels"):
        influence_map(convolutions(1), np.zeros((1, 5, 6)), position=(5, 0))


@pytest.mark.parametrize("share", [0, -0.5, 1.01])
def test_shares_out_of_range_are_refused(share):
    with pytest.raises(InputError, match="share is"):
        radius_px(np.ones((3, 3)), position=(1, 1), share=share)


def test_no_image_is_refused():
    with pytest.raises(InputError, match="images is 0"):
        effective_receptive_field(
            convolutions(1),
            in_channels=1,
            size_px=(4, 4),
            position=(0, 0),
            rng=np.random.default_rng(0),
            images=0,
        )


def test_what_acts_in_a_layer_is_what_the_layers_behind_it_see():
    # Three kernels of ones: what acts on the output passes one of them behind the second, two behind the first.
    chain = convolutions(3)
    found = layer_influence(chain, np.zeros((1, 9, 9)), position=(4, 4), layers=["0", "1", "2"])
    for name, behind in (("0", 2), ("1", 1)):
        expected = influence_map(convolutions(behind), np.zeros((1, 9, 9)), position=(4, 4))
        np.testing.assert_array_equal(found[name], expected)
    assert np.argwhere(found["2"]).tolist() == [[4, 4]]


def test_layers_have_grids_of_their_own_and_a_layer_without_a_say_has_none():
    torch.manual_seed(0)

    class Skipping(nn.Module):
        def __init__(self):
            super().__init__()
            self.down, self.up = nn.Conv2d(1, 2, 2, stride=2), nn.ConvTranspose2d(2, 1, 2, stride=2)
            self.aside, self.unused = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)

        def forward(self, image):
            self.aside(image)
            return self.up(self.down(image))

    network = Skipping().double()
    image = np.zeros((1, 6, 8))
    assert levels(network, image) == {"aside": (6, 8), "down": (3, 4), "up": (6, 8)}
    found = layer_influence(network, image, position=(3, 5), layers=["down", "aside"])
    assert np.argwhere(found["down"]).tolist() == [[1, 2]]
    weights = network.up.weight[:, 0, 1, 1].abs().sum().item()
    assert found["down"][1, 2] == pytest.approx(weights)
    assert not found["aside"].any()
    with pytest.raises(InputError, match="no layer 'sideways'"):
        layer_influence(network, image, position=(0, 0), layers=["sideways"])
    with pytest.raises(InputError, match="layer 'unused' takes no part"):
        layer_influence(network, image, position=(0, 0), layers=["unused"])


def test_the_diameter_covers_the_pixel_in_the_middle():
    influence = np.zeros((9, 9))
    influence[4, 1:8] = 1
    assert diameter_px(influence, position=(4, 4), share=1.0) == 7
