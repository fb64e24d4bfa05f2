"""A dot for each value and a bar at their mean, or a dot and its interval, as inline SVG: how far values scatter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .curves import _INK, _SERIES, _figure, _style, _svg

_ROW_INCHES, _FRAME_INCHES = 0.28, 0.9


def dots(rows: Mapping[str, Sequence[float]], *, label: str) -> str:
    """Values of each row beside each other, the first row on top.

    Args:
        rows: Name → values; NaN where there is none.
        label: What they are.

    Returns:
        An ``<svg>`` element; an empty string where there is no value.
    """
    drawn = {name: np.asarray(values, float) for name, values in rows.items()}
    drawn = {name: values[np.isfinite(values)] for name, values in drawn.items()}
    drawn = {name: values for name, values in drawn.items() if len(values)}
    if not drawn:
        return ""
    with _style():
        figure = _figure(width=7.0, height=_FRAME_INCHES + _ROW_INCHES * len(drawn))
        axes = figure.add_subplot()
        for place, (name, values) in enumerate(drawn.items()):
            axes.plot(values, np.full(len(values), place), "o", color=_SERIES[0], markersize=5, alpha=0.6, gid=name)
            axes.plot([values.mean()] * 2, [place - 0.3, place + 0.3], color=_INK, linewidth=1.6)
        axes.set_yticks(range(len(drawn)), labels=list(drawn))
        axes.set(xlabel=label, ylim=(len(drawn) - 0.5, -0.5))
        return _svg(figure, description=f"{label}: " + ", ".join(drawn))


def intervals(rows: Mapping[str, tuple[float, float, float]], *, label: str) -> str:
    """A dot and its interval for each row, the first on top, and a line at 0: which differences are told from none.

    Args:
        rows: Name → estimate, lower and upper bound; bounds are NaN where there is no interval.
        label: What they are.

    Returns:
        An ``<svg>`` element; an empty string where there is no finite estimate.
    """
    drawn = {name: values for name, values in rows.items() if np.isfinite(values[0])}
    if not drawn:
        return ""
    with _style():
        figure = _figure(width=7.0, height=_FRAME_INCHES + _ROW_INCHES * len(drawn))
        axes = figure.add_subplot()
        axes.axvline(0, color=_INK, alpha=0.5, linewidth=1, linestyle=":")
        for place, (name, (estimate, low, high)) in enumerate(drawn.items()):
            if np.isfinite([low, high]).all():
                axes.plot([low, high], [place] * 2, color=_SERIES[0], linewidth=2, alpha=0.6, gid=f"interval-{name}")
            axes.plot([estimate], [place], "o", color=_SERIES[0], markersize=5, gid=name)
        axes.set_yticks(range(len(drawn)), labels=list(drawn))
        axes.set(xlabel=label, ylim=(len(drawn) - 0.5, -0.5))
        return _svg(figure, description=f"{label}: " + ", ".join(drawn))
