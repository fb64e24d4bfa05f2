"""Histograms as inline SVG that follows the page's colors.

Drawn by hand: a plotting library takes a second to be loaded and to draw, longer than many an image takes to be
segmented.
"""

from __future__ import annotations

import math
from html import escape

import numpy as np

_BAR, _MEDIAN = "var(--series-1, #0072b2)", "var(--series-2, #d55e00)"
_FEWEST_BINS, _MOST_BINS = 10, 50
_WIDTH, _HEIGHT = 440, 260
_LEFT, _TOP, _RIGHT, _BOTTOM = 56, 10, 428, 214
_MOST_TICKS = 6
_FINEST_RANGE = 1e-9


def histogram(
    values: np.ndarray, *, label: str, limits: tuple[float, float] | None = None, counted: str = "Objects"
) -> str:
    """How many objects have which value, with the median marked.

    Args:
        values: (n,); NaN and infinities are left out.
        label: What is counted, with its unit, under the axis.
        limits: Ends of the axis; None takes the values' own. Values beyond are not drawn.
        counted: What the bars count.

    Returns:
        An ``<svg>`` element; an empty string without values.
    """
    finite = np.asarray(values, float)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return ""
    low, high = limits or _range(finite)
    bins = int(np.clip(np.sqrt(finite.size), _FEWEST_BINS, _MOST_BINS))
    counts, edges = np.histogram(finite, bins=bins, range=(low, high))
    median = float(np.median(finite))
    most = max(1, int(counts.max()))
    count_ticks = [tick for tick in _ticks(0, most) if tick == round(tick)]
    top = max(most, count_ticks[-1])

    def column(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (_RIGHT - _LEFT)

    def row(count: float) -> float:
        return _BOTTOM - count / top * (_BOTTOM - _TOP)

    title = escape(f"Histogram of {label}: {finite.size} {counted.lower()}, median {median:.3g}")
    parts = [
        f'<svg role="img" aria-label="{title}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-size="12" fill="currentColor">'
    ]
    for tick in count_ticks:
        parts.append(_line(_LEFT, row(tick), _RIGHT, row(tick), 'stroke="currentColor" stroke-opacity="0.15"'))
        parts.append(_text(_LEFT - 6, row(tick) + 4, f"{tick:g}", anchor="end"))
    for count, start, end in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count:
            left, wide = column(start), column(end) - column(start)
            parts.append(
                f'<rect x="{left + 0.04 * wide:.2f}" y="{row(count):.2f}" width="{0.92 * wide:.2f}" '
                f'height="{_BOTTOM - row(count):.2f}" fill="{_BAR}"/>'
            )
    parts += [_text(column(tick), _BOTTOM + 17, f"{tick:g}") for tick in _ticks(low, high)]
    parts.append(_line(_LEFT, _BOTTOM, _RIGHT, _BOTTOM, 'stroke="currentColor"'))
    parts += _median_mark(median, column(min(max(median, low), high)))
    parts.append(_text((_LEFT + _RIGHT) / 2, _HEIGHT - 8, escape(label)))
    middle = (_TOP + _BOTTOM) / 2
    parts.append(_text(14, middle, escape(counted), extra=f' transform="rotate(-90 14 {middle:g})"'))
    return "".join([*parts, "</svg>"])


def _range(values: np.ndarray) -> tuple[float, float]:
    """Smallest and largest value; half a unit around them, or more for large ones, where they are nearly the same."""
    low, high = float(values.min()), float(values.max())
    size = max(abs(low), abs(high), 1.0)
    if high - low > _FINEST_RANGE * size:
        return low, high
    return low - size / 2, high + size / 2


def _ticks(low: float, high: float) -> list[float]:
    """At most six round numbers from the one to the other, at least one."""
    smallest = (high - low) / (_MOST_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(smallest))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= smallest * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    # Rounding takes away what binary fractions add: 0.6000000000000001.
    return [round(number * step, 12) for number in range(first, last + 1)]


def _median_mark(median: float, column: float) -> list[str]:
    """A dashed line, and its number on the side that has more room."""
    is_left = column > (_LEFT + _RIGHT) / 2
    line = _line(column, _TOP, column, _BOTTOM, f'stroke="{_MEDIAN}" stroke-width="1.5" stroke-dasharray="6 4"')
    place = column - 6 if is_left else column + 6
    return [line, _text(place, _TOP + 12, f"median {median:.3g}", anchor="end" if is_left else "start")]


def _line(left: float, top: float, right: float, bottom: float, style: str) -> str:
    return f'<line x1="{left:.2f}" y1="{top:.2f}" x2="{right:.2f}" y2="{bottom:.2f}" {style}/>'


def _text(column: float, row: float, words: str, *, anchor: str = "middle", extra: str = "") -> str:
    return f'<text x="{column:.2f}" y="{row:.2f}" text-anchor="{anchor}"{extra}>{words}</text>'
