"""Curves as inline SVG that follow the page's colors."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe & Ito (2008), Color Universal Design. The page replaces them in dark mode through the variables.
_SERIES: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES: Final = ("-", "--", ":", "-.")
_INK: Final = "#010203"
WATCHED: Final = "watched/"
"""Before the names of columns that are numbers of the network itself."""

_NOT_PLOTTED: Final = frozenset({"step", "seconds", "learning_rate", "score"})


def training_curves(
    history: Mapping[str, Sequence[float]],
    *,
    best_step: int | None = None,
    step_losses: Sequence[tuple[int, float]] = (),
) -> str:
    """Losses in one figure and validation metrics in another, against the optimizer's steps.

    Args:
        history: Column name → one value a row; ``step`` is the common axis, columns whose name contains ``loss`` are
            losses, those with `WATCHED` before it numbers of the network itself, which get a figure of their own, and
            ``seconds``, ``learning_rate`` and ``score`` are left out. NaN where a row has no value.
        best_step: Where the kept weights come from; marked by a vertical line.
        step_losses: (step, loss) of every step, drawn faintly behind the means of ``history``; means over neighboring
            steps where there are many.

    Returns:
        Up to three ``<svg>`` elements, so that a narrow page can stack them; an empty string where there is nothing to
        draw yet.
    """
    drawn = {name: np.asarray(column, float) for name, column in history.items() if name not in _NOT_PLOTTED}
    drawn = {name: column for name, column in drawn.items() if np.isfinite(column).any()}
    losses = {name: column for name, column in drawn.items() if "loss" in name}
    own = {name.removeprefix(WATCHED): column for name, column in drawn.items() if name.startswith(WATCHED)}
    metrics = {name: column for name, column in drawn.items() if "loss" not in name and not name.startswith(WATCHED)}
    every = thinned(step_losses)
    steps = np.asarray(history.get("step", ()), float)
    figures = []
    panels = (("Loss", losses, every), ("Validation", metrics, every[:0]), ("Of the network", own, every[:0]))
    for title, lines, faint in panels:
        if lines or len(faint):
            figures.append(_panel(title, steps, lines, faint=faint, best_step=best_step))
    return "".join(figures)


def compared_curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    label: str,
    axis: str = "Optimizer step",
    log: bool = False,
    spreads: Mapping[str, Sequence[float] | np.ndarray] | None = None,
) -> str:
    """Several curves with steps of their own in one figure.

    Args:
        lines: Name → (x, y); NaN where there is no value.
        label: What is drawn.
        axis: What it is drawn over.
        log: Whether that axis is logarithmic, with a tick at every value.
        spreads: Name → half the height of a band around its curve, at each x; without, there is none.

    Returns:
        An ``<svg>`` element; an empty string where there is nothing to draw.
    """
    drawn = {name: (np.asarray(x, float), np.asarray(y, float)) for name, (x, y) in lines.items()}
    drawn = {name: (x, y) for name, (x, y) in drawn.items() if np.isfinite(y).any()}
    if not drawn:
        return ""
    with _style():
        figure = _figure(width=9.2, height=4.2)
        axes = figure.add_subplot()
        for number, (name, (x, y)) in enumerate(drawn.items()):
            _draw_line(axes, number, name, x, y)
            if spreads and name in spreads:
                half = np.asarray(spreads[name], float)
                color = _SERIES[number % len(_SERIES)]
                axes.fill_between(x, y - half, y + half, color=color, alpha=0.1, linewidth=0, gid=f"spread-{name}")
        axes.set(xlabel=axis, ylabel=label)
        if log:
            axes.set_xscale("log")
            ticks = sorted({float(value) for x, _ in drawn.values() for value in x})
            axes.set_xticks(ticks, labels=[f"{value:g}" for value in ticks])
            axes.minorticks_off()
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return _svg(figure, description=f"{label} against {axis}: " + ", ".join(drawn))


def thinned(step_losses: Sequence[tuple[int, float]], *, most: int = 400) -> np.ndarray:
    """Means of (step, loss) over so many neighboring steps that at most ``most`` points are left, (n, 2).

    Example:
        >>> thinned([(1, 4.0), (2, 2.0), (3, 1.0)], most=2).tolist()
        [[1.5, 3.0], [3.0, 1.0]]
    """
    points = np.asarray(step_losses, float).reshape(-1, 2)
    together = max(1, -(-len(points) // most))
    return np.array(
        [points[start : start + together].mean(axis=0) for start in range(0, len(points), together)]
    ).reshape(-1, 2)


def _panel(
    title: str, steps: np.ndarray, lines: Mapping[str, np.ndarray], *, faint: np.ndarray, best_step: int | None
) -> str:
    with _style():
        figure = _figure(width=4.6, height=3.1)
        axes = figure.add_subplot()
        if len(faint):
            axes.plot(*faint.T, color=_SERIES[0], alpha=0.45, linewidth=1, label="loss of steps", gid="step-losses")
        _draw_lines(axes, steps, lines)
        axes.set(xlabel="Optimizer step", ylabel=title)
        axes.locator_params(axis="x", integer=True)
        if best_step is not None:
            axes.axvline(best_step, color=_INK, alpha=0.5, linewidth=1, linestyle=":", gid=f"best-{title.lower()}")
        return _svg(figure, description=f"{title} against steps: " + ", ".join(lines or ["loss of steps"]))


def _draw_lines(axes: Any, steps: np.ndarray, lines: Mapping[str, np.ndarray]) -> None:
    for number, (name, column) in enumerate(lines.items()):
        _draw_line(axes, number, name.replace("_", " "), steps, column)
    axes.legend(loc="best")


def _draw_line(axes: Any, number: int, name: str, x: np.ndarray, y: np.ndarray) -> None:
    known = np.isfinite(y)
    axes.plot(
        x[known],
        y[known],
        color=_SERIES[number % len(_SERIES)],
        linestyle=_DASHES[number // len(_SERIES) % len(_DASHES)],
        marker="o" if known.sum() < 30 else "",
        markersize=3,
        linewidth=1.6,
        label=name,
    )


def _style() -> Any:
    """Matplotlib settings of all our figures, for the length of a ``with``."""
    import matplotlib  # half a second that only pages need

    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": "cellproof",
        "text.parse_math": False,
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.alpha": 0.15,
        "legend.frameon": False,
    }
    inks = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color")
    return matplotlib.rc_context({**settings, **dict.fromkeys(inks, _INK)})


def _figure(*, width: float, height: float) -> Figure:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def _svg(figure: Figure, *, description: str) -> str:
    """The figure as one element without prologue, metadata or fixed ink, for pages of any color."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = text.replace(_INK, "currentColor")
    for number, color in enumerate(_SERIES, start=1):
        text = text.replace(color, f"var(--series-{number}, {color})")
    escaped = description.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("<svg", f'<svg role="img" aria-label="{escaped}"', 1).strip()
