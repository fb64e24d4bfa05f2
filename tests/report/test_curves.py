from __future__ import annotations

import math
import re

import numpy as np
import pytest

from cellproof.report.curves import compared_curves, thinned, training_curves

HISTORY = {
    "step": [100, 200, 300, 400],
    "seconds": [1.0, 2.0, 3.0, 4.0],
    "learning_rate": [1e-3] * 4,
    "loss": [1.0, 0.5, 0.25, 0.125],
    "score": [0.1, 0.2, 0.3, 0.4],
    "dice": [math.nan, 0.5, math.nan, 0.9],
}


def _line(svg, color):
    """Points of the first curve of this color."""
    for match in re.finditer(r'<path d="([^"]*)"[^>]*style="([^"]*)"', svg):
        if f"stroke: {color}" in match[2] and "stroke-width: 1.6" in match[2]:
            return np.array([[float(n) for n in pair] for pair in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", match[1])])
    raise AssertionError(f"no curve in {color}")


def test_a_curve_passes_through_the_history():
    points = _line(training_curves({"step": HISTORY["step"], "loss": HISTORY["loss"]}), "var(--series-1, #0072b2)")
    assert len(points) == 4
    np.testing.assert_allclose(np.diff(points[:, 0]), np.diff(points[:, 0])[0], rtol=1e-3)
    drops = np.diff(points[:, 1])
    np.testing.assert_allclose(drops[:-1] / drops[1:], 2, rtol=1e-3)


def test_losses_and_metrics_are_named_and_other_columns_left_out():
    svg = training_curves(HISTORY, best_step=400)
    words = re.findall(r">([^<>]+)</text>", svg)
    assert {"Loss", "Validation", "loss", "dice", "Optimizer step"} <= set(words)
    assert not {"seconds", "learning rate", "score"} & set(words)
    assert svg.count('id="best-') == 2


def test_numbers_of_the_network_have_a_figure_of_their_own():
    svg = training_curves({"step": [1, 2], "loss": [2.0, 1.0], "watched/weight": [1.0, 0.5]})
    words = re.findall(r">([^<>]+)</text>", svg)
    assert {"Of the network", "weight"} <= set(words)
    assert (svg.count("<svg"), "Validation" in words) == (2, False)


def test_a_band_reaches_as_far_above_its_curve_as_below():
    svg = compared_curves({"a": ([1, 2], [1.0, 1.0]), "b": ([1, 2], [0.0, 3.0])}, label="m", spreads={"a": [0.5, 0.25]})
    assert svg.count("spread-") == 1
    band, down = re.search(r'id="spread-a".*? d="([^"]*)".*?<use [^>]*y="([^"]*)"', svg, re.DOTALL).groups()
    corners = np.array([[float(n) for n in pair] for pair in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", band)])
    corners[:, 1] += float(down)
    middle = _line(svg, "var(--series-1, #0072b2)")[0, 1]
    left, right = corners[corners[:, 0] == corners[:, 0].min(), 1], corners[corners[:, 0] == corners[:, 0].max(), 1]
    np.testing.assert_allclose([np.unique(left).mean(), np.unique(right).mean()], middle, rtol=0.01)
    np.testing.assert_allclose(np.ptp(left), 2 * np.ptp(right), rtol=1e-3)


def test_compared_curves_keep_their_own_steps():
    lines = {"long": ([0, 10], [0.0, 1.0]), "short": ([0, 5], [0.0, 1.0]), "none": ([1], [math.nan])}
    svg = compared_curves(lines, label="score")
    long, short = (_line(svg, color) for color in ("var(--series-1, #0072b2)", "var(--series-2, #d55e00)"))
    assert np.ptp(long[:, 0]) == pytest.approx(2 * np.ptp(short[:, 0]), rel=1e-3)
    assert "none" not in svg.replace("fill: none", "").replace("stroke: none", "")
    assert compared_curves({"none": ([1], [math.nan])}, label="score") == ""


def test_rows_without_a_value_are_skipped():
    svg = training_curves({"step": [1, 2, 3], "loss": [1.0, math.nan, 2.0]})
    assert len(_line(svg, "var(--series-1, #0072b2)")) == 2


def test_nothing_to_draw_is_an_empty_text():
    assert training_curves({}) == training_curves({"step": [], "loss": []}) == ""
    assert training_curves({"step": [1], "loss": [math.nan]}) == ""


def test_the_same_history_gives_the_same_text():
    assert training_curves(HISTORY) == training_curves(HISTORY)


def test_names_are_shown_as_they_are():
    svg = training_curves({"step": [1, 2], "loss": [1, 2], "<b>&$x": [0.1, 0.2]})
    assert "&lt;b&gt;&amp;$x" in svg
    assert "<b>" not in svg


def test_a_training_that_was_not_validated_yet_shows_the_losses_of_its_steps():
    svg = training_curves({}, step_losses=[(1, 4.0), (2, 2.0), (3, 1.0)])
    assert svg.count("<svg") == 1
    assert "loss of steps" in re.findall(r">([^<>]+)</text>", svg)


def test_means_over_neighboring_steps_keep_the_mean_of_all():
    losses = [(step, math.sin(step)) for step in range(1000)]
    points = thinned(losses)
    assert len(points) <= 400
    # 1000 steps in threes leave a last one alone.
    weights = np.full(len(points), 3.0)
    weights[-1] = 1
    np.testing.assert_allclose(np.average(points, axis=0, weights=weights), np.mean(losses, axis=0))
    assert thinned([]).shape == (0, 2)


def test_each_panel_is_a_figure_of_its_own_so_that_a_narrow_page_stacks_them():
    widths = [float(width) for width in re.findall(r'<svg[^>]* width="([0-9.]+)pt"', training_curves(HISTORY))]
    assert len(widths) == 2
    # On a page of 360 px, letters of 10 pt keep 10 px or more.
    assert all(10 * 4 / 3 * min(1, 360 / (width * 4 / 3)) >= 10 for width in widths)


def test_a_logarithmic_axis_says_its_values_in_plain_numbers():
    svg = compared_curves({"a": ([12, 50, 200], [0.1, 0.2, 0.3])}, label="score", axis="photons", log=True)
    words = re.findall(r">([^<>]+)</text>", svg)
    assert {"12", "50", "200", "photons"} <= set(words)
    first, second, third = _line(svg, "var(--series-1, #0072b2)")[:, 0]
    # From 12 to 50 is about as far as from 50 to 200.
    assert (third - second) / (second - first) == pytest.approx(np.log(4) / np.log(50 / 12), rel=1e-2)
