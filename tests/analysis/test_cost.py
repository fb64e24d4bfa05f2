from __future__ import annotations

import pytest
import torch
from torch import nn

from cellproof.analysis.cost import activation_bytes, count_parameters, multiply_adds


def test_a_shared_parameter_counts_once():
    layer = nn.Linear(3, 3)
    assert count_parameters(nn.Sequential(layer, layer)) == 12


@pytest.mark.parametrize(
    ("layer", "input_shape", "expected"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), (2, 3, 10, 12), 2 * 8 * 10 * 12 * 3 * 9),
        (nn.Conv2d(4, 8, (3, 1), stride=2, groups=2), (1, 4, 9, 9), 8 * 4 * 5 * (4 // 2) * 3),
        (nn.ConvTranspose2d(6, 4, 2, stride=2), (1, 6, 5, 7), 6 * 5 * 7 * 4 * 4),
        (nn.Linear(5, 7), (3, 5), 3 * 5 * 7),
        (nn.ReLU(), (1, 1, 4, 4), 0),
    ],
)
def test_multiplications_follow_the_formula(layer, input_shape, expected):
    assert multiply_adds(layer, input_shape) == expected


def test_a_layer_that_is_used_twice_counts_twice():
    layer = nn.Conv2d(2, 2, 1)
    assert multiply_adds(nn.Sequential(layer, layer), (1, 2, 3, 3)) == 2 * 4 * 9


def test_the_input_and_the_two_neighboring_results_are_alive_at_once():
    # 1 × 64 input (held by the caller), 4 × 64 and 2 × 64 values of four bytes; later 2 and 1 × 64.
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 2, 1), nn.Conv2d(2, 1, 1))
    assert activation_bytes(network, (1, 1, 8, 8)) == (1 + 4 + 2) * 64 * 4
    assert activation_bytes(network.double(), (1, 1, 8, 8)) == (1 + 4 + 2) * 64 * 8


def test_training_keeps_every_result():
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 2, 1), nn.Conv2d(2, 1, 1))
    assert activation_bytes(network, (1, 1, 8, 8), keeps_gradients=True) == (1 + 4 + 2 + 1) * 64 * 4


def test_views_take_no_memory():
    network = nn.Sequential(nn.Flatten(), nn.Unflatten(1, (2, 8)), nn.ReLU(inplace=True))
    assert activation_bytes(network, (1, 4, 4)) == 16 * 4


def test_a_skip_connection_stays_alive_until_it_is_used():
    class Skip(nn.Module):
        def forward(self, features):
            coarse = nn.functional.max_pool2d(features + 1, 2)
            return nn.functional.interpolate(coarse, scale_factor=2) + features

    # Input 64, its sum with one 64 while pooling, pooled 16 and its indices 16 of eight bytes: 704 bytes;
    # at the end input 64, pooled 16, enlarged 64 and the sum 64: 832 bytes.
    assert activation_bytes(Skip(), (1, 1, 8, 8)) == 4 * (64 + 16 + 64 + 64)


def test_the_network_is_left_as_it_was():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    multiply_adds(network, (1, 1, 8, 8))
    activation_bytes(network, (1, 1, 8, 8), keeps_gradients=True)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(layer._forward_hooks for layer in network.modules())
