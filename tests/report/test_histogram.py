from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, lists

from cellproof.report.histogram import histogram


def _bars(svg):
    """Left edge, width and height of every bar."""
    bars = [element.attrib for element in ElementTree.fromstring(svg).iter("rect")]
    return np.array([[float(bar[name]) for name in ("x", "width", "height")] for bar in bars])


def test_bars_are_as_high_as_their_counts():
    bars = _bars(histogram(np.repeat([0.05, 0.55, 0.95], [1, 2, 4]), label="x", limits=(0, 1)))
    np.testing.assert_allclose(bars[:, 2] / bars[0, 2], [1, 2, 4], rtol=1e-3)


def test_bars_stand_where_their_values_are():
    bars = _bars(histogram(np.array([0.05, 0.55, 0.95]), label="x", limits=(0, 1)))
    centers = bars[:, 0] + bars[:, 1] / 2
    np.testing.assert_allclose(np.diff(centers) / np.diff(centers).sum(), [5 / 9, 4 / 9], rtol=1e-3)


def test_a_histogram_says_its_unit_its_median_and_its_numbers():
    svg = histogram(np.array([10.0, 20, 20, 30, np.nan]), label="Object area (px²)")
    assert ">Object area (px²)</text>" in svg
    assert ">median 20</text>" in svg
    assert "4 objects, median 20" in svg


def test_axes_carry_round_numbers():
    words = re.findall(r">([^<>]+)</text>", histogram(np.linspace(0, 1, 100), label="x", limits=(0, 1)))
    assert {"0", "0.2", "0.4", "0.6", "0.8", "1"} <= set(words)
    assert {"2", "4", "6", "8", "10"} <= set(words)


@pytest.mark.parametrize("values", [[], [np.nan], [np.inf, -np.inf]])
def test_nothing_to_draw_is_an_empty_text(values):
    assert histogram(np.array(values, float), label="x") == ""


@settings(max_examples=50, deadline=None)
@given(lists(floats(-1e12, 1e12), min_size=1, max_size=20))
def test_any_values_make_one_element_with_all_of_them_that_loads_nothing(values):
    svg = histogram(np.array(values), label="value")
    root = ElementTree.fromstring(svg)
    assert root.tag == "svg"
    heights = _bars(svg)[:, 2]
    assert (heights > 0).all()
    assert all(0 <= float(bar.attrib["x"]) <= 440 for bar in root.iter("rect"))
    assert "http" not in svg


def test_labels_are_shown_as_they_are():
    svg = histogram(np.ones(3), label='<b>&"x')
    assert "".join(ElementTree.fromstring(svg).itertext()).count('<b>&"x') == 1
