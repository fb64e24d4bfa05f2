"""Every public docstring has an example that runs, and no library message speaks of the command line."""

from __future__ import annotations

import ast
import doctest
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import cellproof
import cellproof.metrics

PACKAGE = Path(cellproof.__file__).parent
WORKFLOWS = ("collect", "predict", "evaluate", "train", "segment", "reproduce")
DOORS = ("cli", "__main__.py")
NEED_A_DATA_SET = {
    *(f"collect.{name}" for name in ("attribute", "collect", "divide", "find_records", "load_sample")),
    "collect.inspect_data",
    "collect.group_duplicates",
    "collect.load_mask",
    *(f"evaluate.{name}" for name in ("score_folders", "shown", "worst_images", "write_evaluation")),
    "reproduce.reproduce",
    "reproduce.screen",
    "train.describe_sight",
    "train.draw_sight",
    "train.what_it_sees",
    "train.largest_diameter_px",
    "train.run_training",
}
"""Functions whose example would write a data set first; those of `cellproof.train` and `evaluate` show them at work."""

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def modules_with_examples() -> list[str]:
    paths = [path for path in PACKAGE.rglob("*.py") if ">>>" in path.read_text(encoding="utf-8")]
    return sorted("cellproof." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in paths)


def metrics_functions() -> Iterator[tuple[str, object]]:
    """Public functions of the room, by name."""
    for module in iter_modules(cellproof.metrics.__path__):
        if module.name.startswith("_"):
            continue
        loaded = import_module(f"cellproof.metrics.{module.name}")
        for name, value in vars(loaded).items():
            if inspect.isfunction(value) and not name.startswith("_") and value.__module__ == loaded.__name__:
                yield f"metrics.{module.name}.{name}", value


def faces() -> Iterator[tuple[str, object]]:
    """Functions that workflows list."""
    for workflow in WORKFLOWS:
        loaded = import_module(f"cellproof.workflows.{workflow}")
        for name in loaded.__all__:
            if inspect.isfunction(getattr(loaded, name)):
                yield f"{workflow}.{name}", getattr(loaded, name)


def has_example(value: object) -> bool:
    return ">>>" in (inspect.getdoc(value) or "")


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_run_as_printed(name, tmp_path, monkeypatch):
    monkeypatch.setenv("CELLPROOF_CACHE", str(tmp_path))
    result = doctest.testmod(import_module(name.removesuffix(".__init__")))
    assert (result.failed, result.attempted > 0) == (0, True)


def test_every_public_name_and_method_has_an_example():
    public = [(name, getattr(cellproof, name)) for name in cellproof.__all__ if not name.startswith("_")]
    methods = [
        (f"{name}.{method}", function)
        for name, value in public
        if inspect.isclass(value)
        for method, function in vars(value).items()
        if inspect.isfunction(function) and not method.startswith("_")
    ]
    without = {name for name, value in [*public, *methods] if not has_example(value)}
    # pandas is optional, so that an example with it would not run everywhere.
    assert without - {"Segmentation.to_dataframe", "InputError.within"} == set()


def test_every_function_that_a_workflow_lists_has_an_example():
    assert {name for name, value in faces() if not has_example(value)} <= NEED_A_DATA_SET


def test_every_metric_has_an_example():
    without = {name for name, value in metrics_functions() if not has_example(value)}
    assert without <= {
        "metrics.membranes.count_membranes",
        "metrics.membranes.membrane_rows",
        "metrics.rank_counts.count_ranks",
        "metrics.objects.without_ignored",
    }


def message_texts(path: Path) -> Iterator[str]:
    """Texts of a file that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


def test_no_message_of_the_library_names_an_option_of_the_command_line():
    found = [
        f"{path.relative_to(PACKAGE)}: {text}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in DOORS
        for text in message_texts(path)
        if OPTION.search(text) and "var(--" not in text
    ]
    assert found == []
