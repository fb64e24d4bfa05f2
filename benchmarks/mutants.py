"""How many small errors the tests notice: a drawn sample of mutations, each in a copy, against its room's tests.

    python benchmarks/mutants.py [ROOM …] [--per-room N] [--seed N]

One expression at a time is changed (a comparison, + and -, a number, and / or, a returned value), never in docstrings,
annotations or the texts of errors. First come the tests that execute the changed line; what survives them is tried
against all of the room, the examples in its docstrings among them. A mutant is killed when a test fails, or when they
run five times as long as all did before. What survives is either not tested or means the same: each is listed, to be
looked at. Needs the extra ``dev``.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mutants_tests import load_libraries, passes, watch
from page import load_note, table, write_page

REPOSITORY = Path(__file__).parents[1]
SHORTEST_LIMIT_S = 60.0


@dataclass(frozen=True)
class Room:
    """A part of the package, and the tests that answer for it.

    Attributes:
        source: Folder under ``src/cellproof``.
        tests: Files and folders under ``tests``; those that are not there are left out.
    """

    source: str
    tests: tuple[str, ...]


ROOMS = {
    "metrics": Room("metrics", ("metrics",)),
    "difficulty": Room("difficulty", ("difficulty",)),
    "refine": Room("refine", ("refine",)),
    "instances": Room("instances", ("instances",)),
    "evaluate": Room("workflows/evaluate", ("workflows/evaluate", "cli/test_evaluate.py")),
}


@dataclass(frozen=True)
class Mutant:
    """One changed expression.

    Attributes:
        file: Under ``src/cellproof``.
        line: Of the expression.
        before: Its code.
        after: What it became.
        text: The whole file with the change.
    """

    file: str
    line: int
    before: str
    after: str
    text: str


_SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def main() -> None:
    """Draw, try, write the page."""
    arguments = _arguments()
    os.nice(5)
    load_libraries()
    lines, survivors = [], []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = _copy(Path(folder))
        for name in arguments.rooms or ROOMS:
            line, survived = _try_room(name, copy, per_room=arguments.per_room, seed=arguments.seed)
            lines.append(line)
            survivors += survived
    _write(lines, survivors, seed=arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(ROOMS)}; all if none is given")
    parser.add_argument("--per-room", type=int, default=10, help="mutants drawn in each (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    return parser.parse_args()


def _copy(folder: Path) -> Path:
    """Package and tests in a folder of their own."""
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    for part in ("src", "tests"):
        shutil.copytree(REPOSITORY / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def _try_room(name: str, copy: Path, *, per_room: int, seed: int) -> tuple[list[object], list[tuple[str, Mutant]]]:
    """The room's line of the table, and what survived.

    Raises:
        SystemExit: The tests fail without any change.
    """
    room, package = ROOMS[name], copy / "src" / "cellproof"
    tests = watch(copy, package / room.source, [*_tests(room, copy), *_examples(room, copy)])
    limit_s = max(SHORTEST_LIMIT_S, 5 * tests.seconds)
    places = list(_places(package, room.source))
    drawn = random.Random(f"{seed} {name}").sample(places, min(per_room, len(places)))
    survived = []
    for number, (path, place) in enumerate(drawn, start=1):
        original = path.read_text(encoding="utf-8")
        mutant = _mutant(package, path, original, place)
        path.write_text(mutant.text, encoding="utf-8")
        try:
            nearest = tests.of(path, original, mutant.line)
            is_killed = not passes(copy, nearest, limit_s=limit_s)
            if not is_killed and len(nearest) < len(tests.names):
                is_killed = not passes(copy, tests.names, limit_s=limit_s)
        finally:
            path.write_text(original, encoding="utf-8")
        if not is_killed:
            survived.append((name, mutant))
        said = "killed" if is_killed else "SURVIVED"
        change = f"{mutant.file}:{mutant.line} {mutant.before} -> {mutant.after}"
        print(f"{name} {number}/{len(drawn)} {said} ({len(nearest)} tests near): {change}", flush=True)
    killed = len(drawn) - len(survived)
    return [name, len(places), len(drawn), killed, f"{killed / len(drawn):.0%}" if drawn else "–"], survived


def _tests(room: Room, copy: Path) -> list[str]:
    return [f"tests/{path}" for path in room.tests if (copy / "tests" / path).exists()]


def _examples(room: Room, copy: Path) -> list[str]:
    """The tests that run the examples in the room's docstrings."""
    source = copy / "src"
    files = sorted((source / "cellproof" / room.source).rglob("*.py"))
    modules = [path.relative_to(source).with_suffix("").parts for path in files if ">>>" in path.read_text("utf-8")]
    return [f"tests/test_examples.py::test_examples_run_as_printed[{'.'.join(parts)}]" for parts in modules]


def _places(package: Path, source: str) -> Iterator[tuple[Path, int]]:
    """File and number of every change that is possible in a folder, in the order of the code."""
    for path in sorted((package / source).rglob("*.py")):
        for place, _ in enumerate(_changes(ast.parse(path.read_text(encoding="utf-8")))):
            yield path, place


def _mutant(package: Path, path: Path, text: str, place: int) -> Mutant:
    tree = ast.parse(text)
    node, change = list(_changes(tree))[place]
    before = ast.unparse(node)
    change()
    name = path.relative_to(package).as_posix()
    return Mutant(name, getattr(node, "lineno", 0), before, ast.unparse(node), ast.unparse(tree))


def _changes(tree: ast.Module) -> Iterator[tuple[ast.AST, Callable[[], None]]]:
    """Each node that can be changed, and what changes it."""
    for node in _code(tree):
        match node:
            case ast.Compare(ops=[operator]) if type(operator) in _SWAPPED:
                yield node, _setter(node, "ops", [_SWAPPED[type(operator)]()])
            case ast.BinOp(op=operator) | ast.BoolOp(op=operator) if type(operator) in _SWAPPED:
                yield node, _setter(node, "op", _SWAPPED[type(operator)]())
            case ast.UnaryOp(op=ast.Not()):
                yield node, _setter(node, "op", ast.UAdd())
            case ast.Constant(value=bool() as value):
                yield node, _setter(node, "value", not value)
            case ast.Constant(value=int() as value):
                yield node, _setter(node, "value", value + 1)
            case ast.Constant(value=float() as value):
                yield node, _setter(node, "value", 2 * value if value else 1.0)
            case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
                yield node, _setter(node, "value", ast.Constant(None))


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes that compute something: not annotations, texts of errors, formatted strings or imports."""
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.Raise | ast.JoinedStr | ast.ImportFrom):
                yield from _code(child)


def _setter(node: ast.AST, field: str, value: object) -> Callable[[], None]:
    return lambda: setattr(node, field, value)


def _write(lines: list[list[object]], survivors: list[tuple[str, Mutant]], *, seed: int) -> None:
    body = [
        "Small changes of the code, drawn by the seed, each tried against the tests of its room in a copy: a "
        "comparison turned, + for -, a number raised by one or doubled, and for or, None returned.",
        "",
        table(["room", "possible", "drawn", "killed", "rate"], lines),
        "",
        load_note(),
    ]
    if survivors:
        body += ["", "## Survivors", "", "| room | place | was | became |", "|---|---|---|---|"]
    for room, mutant in survivors:
        was, became = (code.replace("|", "\\|").replace("\n", " ") for code in (mutant.before, mutant.after))
        body.append(f"| {room} | `{mutant.file}:{mutant.line}` | `{was}` | `{became}` |")
    write_page("mutants", "Mutations that the tests notice", "\n".join(body), seed=seed)


if __name__ == "__main__":
    main()
