"""`cellproof evaluate`: predictions against references, as tables on the screen and rows in a JSON file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._options import plural

if TYPE_CHECKING:
    from rich.table import Table

    from ..metrics.rows import Row

_WIDTH_WITHOUT_TERMINAL = 100
_MOST_PROBLEMS_SHOWN = 10
_WORST_SHOWN = 10
# The tables have to fit a terminal of 80 columns.
_ONLY_IN_JSON = {
    ("F1", "mean over images"),
    ("PQ", "mean over images"),
    ("IoU", "mean over images"),
    ("mean matched IoU", "pooled"),
}
_GROUP_THRESHOLDS = ("0.5", "0.75", "0.9", "mean 0.5…0.95")


def evaluate_command(
    predictions: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="Folder that `segment` wrote (NAME_labels.tif, NAME_classes.tif), folder of label images NAME.*, "
            "or one file.",
        ),
    ],
    reference: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="Folder of masks with the same names, a data set or one of its splits (DATA/val), or one file. "
            "A dataset.toml there or above says what the masks hold; without one it is found out from them.",
        ),
    ],
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="stardist: objects matched by IoU, AP, F1 and PQ at 0.5…0.95. pixel: IoU, Dice, precision and recall "
            "of each class. membranes: cells that membranes enclose, and their walls. "
            "Default: stardist for objects, pixel for class maps.",
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="Option of the protocol, e.g. connected=wall; repeatable."),
    ] = None,
    by: Annotated[
        str, typer.Option(metavar="COLUMN", help="Also score each group of images with the same value in this column.")
    ] = "",
    only_predicted: Annotated[
        bool, typer.Option("--only-predicted", help="Leave references without a prediction out.")
    ] = False,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write every row, with its policies, to this file.")
    ] = None,
    csv_path: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write one row per image to this file.")
    ] = None,
    html_path: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page that shows what was found, missed and made up."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the bootstrap intervals.")] = 0,
) -> None:
    """Score predictions against references; a reference without prediction counts as all missed, and exit code is 1."""
    from ..io.tables import write_json
    from ..workflows.evaluate import score_folders, worst_images, write_evaluation

    scores = score_folders(
        predictions,
        reference,
        protocol=protocol,
        by=by,
        seed=seed,
        options=_options(option or ()),
        only_predicted=only_predicted,
    )
    typer.echo(scores.headline)
    _show_scores([row for row in scores.rows if not row.problem], only_predicted=only_predicted)
    if len(scores.images) > 1:
        _show_worst(*worst_images(scores, _WORST_SHOWN))
    if json_path is not None:
        write_json(
            json_path,
            {"predictions": predictions, "reference": reference, "headline": scores.headline, "rows": scores.rows},
        )
    for sentence in write_evaluation(scores, predictions, reference, csv=csv_path, html=html_path):
        typer.echo(sentence)
    problems = [row.problem for row in scores.rows if row.problem]
    _show_problems(problems)
    if problems:
        raise typer.Exit(1)


def _options(assignments: Sequence[str]) -> dict[str, object]:
    """Options as ``KEY=VALUE``, values written as in TOML or as a bare word.

    Raises:
        UsageError: One has no ``=``.
    """
    import msgspec

    from ..checks import UsageError

    options: dict[str, object] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"--option {assignment}: expected KEY=VALUE, e.g. tolerance_px=2")
        try:
            options[key.strip()] = msgspec.toml.decode(f"value = {text.strip()}")["value"]
        except msgspec.MsgspecError:
            options[key.strip()] = text.strip()
    return options


def _show_worst(title: str, worst: Sequence[tuple[str, float]]) -> None:
    """The images of the worst scores, one line."""
    if worst:
        typer.echo(f"lowest {title}: " + " · ".join(f"{name} {value:.3f}" for name, value in worst))


def _show_scores(rows: Sequence[Row], *, only_predicted: bool) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH_WITHOUT_TERMINAL)
    overall = [row for row in rows if not row.group]
    for level in dict.fromkeys(row.level for row in overall):
        level_rows = [row for row in overall if row.level == level]
        shown = [row for row in level_rows if _column(row) not in _ONLY_IN_JSON]
        which = "images with a prediction" if only_predicted else "all images"
        title = f"{which}, {level} level: {_extent(level_rows[0])}"
        in_table = [row for row in shown if row.class_or_threshold]
        console.print(_score_table(in_table, title=title) if in_table else title)
        plain = [f"{row.metric} {_number(row)}" for row in shown if not row.class_or_threshold]
        if plain:
            console.print(" · ".join(plain), "\n")
    grouped = [row for row in rows if row.group]
    if grouped:
        console.print(_group_table(grouped))
    for line in _explanations(rows):
        console.print(line, style="dim", soft_wrap=True)


def _extent(row: Row) -> str:
    return plural(row.n_images, "image") + ("" if row.n_objects is None else f", {plural(row.n_objects, 'object')}")


def _score_table(rows: Sequence[Row], *, title: str) -> Table:
    """A line for each class or threshold, a column for each metric and averaging, and one for the first intervals."""
    table = _empty_table(title, first_column="IoU ≥" if rows[0].level == "object" else "class")
    intervals_of = next((row.metric for row in rows if row.interval), None)
    columns: list[tuple[tuple[str, str], Callable[[Row], str]]] = []
    for key in dict.fromkeys(_column(row) for row in rows):
        columns.append((key, _number))
        table.add_column(_header(key), justify="right")
        if key == (intervals_of, "pooled"):
            columns.append((key, _interval))
            table.add_column("95 %\ninterval", justify="right", no_wrap=True)
    for line in dict.fromkeys(_line(row) for row in rows):
        found = {_column(row): row for row in rows if _line(row) == line}
        table.add_row(line, *[write(found[key]) if key in found else "" for key, write in columns])
    return table


def _group_table(rows: Sequence[Row]) -> Table:
    """A line for each group, a column for each headline number."""
    headlines = [row for row in rows if row.averaging == "pooled" and _is_headline(row)]
    table = _empty_table("groups of images, pooled", first_column="group")
    columns = list(dict.fromkeys((row.metric, _line(row)) for row in headlines))
    for metric, line in columns:
        table.add_column(_header((metric, line)), justify="right")
    for group in dict.fromkeys(row.group for row in headlines):
        cells = {(row.metric, _line(row)): row for row in headlines if row.group == group}
        extent = _extent(next(iter(cells.values())))
        table.add_row(f"{group}: {extent}", *[_number(cells[column]) for column in columns])
    return table


def _is_headline(row: Row) -> bool:
    if row.level == "object":
        return row.metric.startswith("AP") and row.class_or_threshold in _GROUP_THRESHOLDS
    return row.metric == "IoU" or row.class_or_threshold == "foreground"


def _empty_table(title: str, *, first_column: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column(first_column, no_wrap=True)
    return table


def _column(row: Row) -> tuple[str, str]:
    return row.metric, row.averaging


def _header(words: tuple[str, str]) -> str:
    return "\n".join(words).replace(" (", "\n(").replace("mean over ", "mean over\n")


def _line(row: Row) -> str:
    if row.level == "object" and row.class_or_threshold.startswith("mean"):
        return "mean"
    without = row.class_or_threshold == "mean" and row.background == "excluded"
    return f"{row.class_or_threshold}, no background" if without else row.class_or_threshold


def _number(row: Row) -> str:
    if isinstance(row.value, int):
        return str(row.value)
    if math.isnan(row.value):
        return "–"
    has_spread = row.sd is not None and row.level == "pixel"
    return f"{row.value:.3f}" + (f" ± {row.sd:.3f}" if has_spread else "")


def _interval(row: Row) -> str:
    if row.interval is None or math.isnan(row.interval[0]):
        return ""
    return "{:.3f}–{:.3f}".format(*row.interval)


def _explanations(rows: Sequence[Row]) -> Iterator[str]:
    """What the averagings mean, what was done in empty cases, and what is not on the screen."""
    yield "pooled: counts of all images are summed, then the formula; interval: bootstrap over images, from five on"
    yield "mean over images: the formula on each image, then the mean (± standard deviation); –: undefined"
    for policy in dict.fromkeys(row.empty_case for row in rows):
        metrics = dict.fromkeys(row.metric for row in rows if row.empty_case == policy)
        yield f"{', '.join(metrics)}: {policy}"
    hidden = {_column(row) for row in rows} & _ONLY_IN_JSON
    if hidden:
        yield f"only in --json FILE: {'; '.join(f'{metric}, {averaging}' for metric, averaging in sorted(hidden))}"


def _show_problems(problems: Sequence[str]) -> None:
    for problem in problems[:_MOST_PROBLEMS_SHOWN]:
        typer.echo(problem, err=True)
    if len(problems) > _MOST_PROBLEMS_SHOWN:
        typer.echo(f"… and {len(problems) - _MOST_PROBLEMS_SHOWN} more; --json FILE lists all", err=True)
