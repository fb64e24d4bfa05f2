from __future__ import annotations

import math
import re

import numpy as np

from cellproof.report.dots import dots, intervals


def test_a_dot_stands_where_its_value_is_and_the_bar_at_their_mean():
    svg = dots({"first": [0.0, 0.5, 1.0], "second": [0.5, math.nan]}, label="score")
    groups = re.findall(r'<g id="(first|second)">(.*?)</g>\s*</g>', svg, re.DOTALL)
    places = {name: [float(x) for x in re.findall(r'<use [^>]*?x="([-\d.]+)"', body)] for name, body in groups}
    assert (len(places["first"]), len(places["second"])) == (3, 1)
    left, middle, right = places["first"]
    np.testing.assert_allclose(right - middle, middle - left, rtol=1e-4)
    np.testing.assert_allclose(places["second"][0], middle, rtol=1e-4)
    assert {"first", "second", "score"} <= set(re.findall(r">([^<>]+)</text>", svg))


def test_nothing_to_draw_is_an_empty_text():
    assert dots({}, label="score") == dots({"a": [math.nan]}, label="score") == ""


def test_an_interval_spans_its_bounds_and_one_without_bounds_is_a_dot():
    svg = intervals({"a": (0.5, 0.25, 1.0), "b": (0.25, math.nan, math.nan)}, label="difference")
    groups = dict(re.findall(r'<g id="(a|b|interval-a|interval-b)">(.*?)</g>', svg, re.DOTALL))
    assert set(groups) == {"a", "b", "interval-a"}
    left, right = (float(x) for x in re.findall(r"[ML] ([-\d.]+)", groups["interval-a"]))
    dots_at = {name: float(re.search(r'<use [^>]*?x="([-\d.]+)"', groups[name])[1]) for name in ("a", "b")}
    # A third of the way from 0.25 to 1 lies 0.5; 0.25 is where the interval begins.
    np.testing.assert_allclose(dots_at["a"], left + (right - left) / 3, rtol=1e-4)
    np.testing.assert_allclose(dots_at["b"], left, rtol=1e-4)
    assert intervals({"a": (math.nan, 0.0, 1.0)}, label="difference") == ""
