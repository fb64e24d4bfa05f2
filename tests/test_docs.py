"""What README and docs say of commands, files and versions is so."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

import cellproof
from cellproof import detectors
from cellproof.cli import COMMANDS, main
from cellproof.data.description import Description
from cellproof.recipe.study import Recipe
from cellproof.recipe.toml import override, parse_recipe
from cellproof.workflows.segment.record import ENDINGS
from cellproof.workflows.segment.summary import IMAGES_CSV, OBJECTS_CSV, REPORT_HTML, RUN_JSON

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "src" / "cellproof"
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("benchmarks/*.md")])
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
GENERAL_OPTIONS = {"--help", "--version", "--verbose"}
FOREIGN_COMMANDS = ("pip", "ruff", "pytest")
"""Programs whose options appear in the docs beside ours."""


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """Fenced code of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), flags=re.MULTILINE | re.DOTALL)


def spans(page: Path) -> list[str]:
    """Inline code."""
    outside = re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", outside)


def command_lines(page: Path) -> Iterator[list[str]]:
    """Words after ``cellproof`` wherever a command line is shown."""
    lines = [line for block in blocks(page, "bash") for line in block.splitlines()]
    for line in [*lines, *spans(page)]:
        for part in line.split("&&"):
            words = part.split("#")[0].strip()
            if words.startswith("cellproof "):
                yield shlex.split(words)[1:]


@cache
def help_of(command: str) -> str:
    """Help text of a command, or of the program for an empty name."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main([command, "--help"] if command else ["--help"])
    assert code == 0
    return printed.getvalue()


def options_of(command: str) -> set[str]:
    return set(OPTION.findall(help_of(command))) | GENERAL_OPTIONS


def anchors(page: Path) -> set[str]:
    """Headings as the anchors that they are given on common hosts."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_command_lines_use_commands_and_options_that_exist(page):
    wrong = []
    for words in command_lines(page):
        command = words[0]
        if command.startswith("-"):
            wrong += [words] if command not in options_of("") else []
        elif command not in COMMANDS:
            wrong.append(words)
        else:
            wrong += [
                [command, word] for word in OPTION.findall(" ".join(words[1:])) if word not in options_of(command)
            ]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_options_named_in_passing_exist(page):
    known = set().union(*(options_of(command) for command in COMMANDS))
    for script in REPOSITORY.glob("benchmarks/*.py"):
        known |= set(OPTION.findall(text_of(script)))
    code = [span for span in spans(page) if not span.startswith(FOREIGN_COMMANDS)]
    named = {option for span in code for option in OPTION.findall(span)}
    assert sorted(named - known) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_settings_shown_change_a_recipe(page):
    for words in command_lines(page):
        settings = [after for before, after in pairwise(words) if before == "--set"]
        if settings:
            assert override(Recipe(name="shown"), settings) != Recipe(name="shown")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_links_lead_to_files_and_headings_that_exist(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def test_the_newest_version_of_the_changelog_is_the_packages_and_the_citations():
    newest = re.search(r"^## \[(\d[^\]]*)\] - (\S+)", text_of(REPOSITORY / "CHANGELOG.md"), flags=re.MULTILINE)
    citation = text_of(REPOSITORY / "CITATION.cff")
    project = tomllib.loads(text_of(REPOSITORY / "pyproject.toml"))["project"]
    assert newest is not None
    assert newest[1] == cellproof.__version__ == project["version"]
    assert f"\nversion: {newest[1]}\n" in citation
    assert f"\ndate-released: {newest[2]}\n" in citation


def test_the_checks_run_the_test_command_of_the_readme():
    command = blocks(REPOSITORY / "README.md", "bash")[1].strip()
    assert command == "pip install '.[test]' && pytest -q"
    last = text_of(REPOSITORY / ".ci" / "run").rstrip().splitlines()[-1]
    assert last.replace(" --quiet", "") == command


def test_the_readme_names_every_file_that_segment_writes():
    text = text_of(REPOSITORY / "README.md")
    names = [f"`NAME{ending}`" for ending in ENDINGS]
    names += [f"`{name}`" for name in (OBJECTS_CSV, IMAGES_CSV, RUN_JSON, REPORT_HTML)]
    assert [name for name in names if name not in text] == []


def test_the_readme_names_every_command():
    shown = {words[0] for page in PAGES for words in command_lines(page)}
    assert sorted(COMMANDS.keys() - shown) == []


def test_the_example_of_a_description_is_read():
    example, *_ = blocks(REPOSITORY / "docs" / "train.md", "toml")
    description = msgspec.toml.decode(example, type=Description)
    assert set(tomllib.loads(example)) == set(Description.__struct_fields__)
    assert description.classes == ("cell", "membrane")


def test_the_examples_of_recipes_are_read_and_their_architectures_take_the_options():
    _, *examples = blocks(REPOSITORY / "docs" / "train.md", "toml")
    assert len(examples) == 3
    for example in examples:
        recipe = parse_recipe(example)
        room = "detectors" if recipe.model.architecture in detectors.names() else "models"
        build = importlib.import_module(f"cellproof.{room}.{recipe.model.architecture}").build
        assert set(recipe.model.options) <= set(inspect.signature(build).parameters)


def test_the_architecture_names_every_file_of_each_folder_and_no_other():
    text = text_of(REPOSITORY / "docs" / "architecture.md")
    sections = dict(re.findall(r"^### ([\w/]+) — .*?\n(.*?)(?=^##|\Z)", text, flags=re.MULTILINE | re.DOTALL))
    folders = {
        folder.relative_to(PACKAGE).as_posix(): {file.name for file in folder.glob("*.py")} - {"__init__.py"}
        for folder in {file.parent for file in PACKAGE.rglob("*.py")}
    }
    described = {name: files for name, files in folders.items() if files and name not in {".", "cli"}}
    named = {name: set(re.findall(r"(?<![\w/])\w+\.py\b", section)) for name, section in sections.items()}
    assert {name: sorted(files - named.get(name, set())) for name, files in described.items()} == {
        name: [] for name in described
    }
    gone = {name: sorted(files - folders.get(name, set()) - {"__init__.py"}) for name, files in named.items()}
    assert {name: files for name, files in gone.items() if files and name in described} == {}


def test_every_decision_is_listed_with_its_number():
    folder = REPOSITORY / "docs" / "decisions"
    pages = sorted(page.name for page in folder.glob("[0-9]*.md"))
    listed = re.findall(r"^\| \[(\d+)\]\((\S+)\)", text_of(folder / "README.md"), flags=re.MULTILINE)
    assert [name for _, name in listed] == pages
    assert all(name.startswith(f"{number}-") for number, name in listed)
    assert all(re.search(r"^\d{4}-\d{2}-\d{2}$", text_of(folder / page), flags=re.MULTILINE) for page in pages)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_python_examples_run(page):
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), names)
    assert names["result"].labels.max() == names["result"].quality.count > 20
