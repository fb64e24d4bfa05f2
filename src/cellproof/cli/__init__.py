"""The command line: one command, one file; a command's file is imported when it is called."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from .. import __version__

COMMANDS = {
    "segment": "Segment images: labels, classes, difficulty, overlays, tables and a report.",
    "inspect": "Look at training data: duplicates, broken masks, shifted pairs, and what is left out.",
    "train": "Train a model on annotated images; plans from the data when no recipe is given.",
    "evaluate": "Score predictions against references.",
    "models": "List the models that come with CellProof, or show the card of a model file.",
    "combine": "Make one model file of several models of the same classes, whose predictions are averaged.",
    "reproduce": "Carry out a paper's recipe: train, score and compare as the paper does.",
    "recipes": "List the recipes for training, or show one.",
    "import": "Turn a data set in a foreign format (Sartorius, COCO, DSB 2018) into a folder to train on.",
    "simulate": "Draw images with exact truth: liver, honeycomb, nuclei, histology; a data set to train on.",
    "demo": "Segment and score two real images that come with CellProof, and meet a foreign stain.",
    "doctor": "Check this installation and say what it can do.",
}
"""Name and summary of every command; ``NAME_command`` in ``cli/NAME.py`` does it."""

_WRONG_USE = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")
"""What the option parser raises for any wrong use; typer shows only some of its descendants."""

_DEBUG = "CELLPROOF_DEBUG"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Words after the program's name; those of the process if None.

    Returns:
        Exit code: 0 all done, 1 something given could not be used or a fault of ours, 2 wrong use, 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--verbose" in words or os.environ.get(_DEBUG, "") not in ("", "0")
    words = [word for word in words if word != "--verbose"]
    with _quiet(debug):
        try:
            return _run(words)
        except (_Interrupted, KeyboardInterrupt, typer.Abort):
            typer.echo("cellproof: interrupted", err=True)
            return 130
        except BrokenPipeError:
            _drop_output()
            return 1
        except Exception as error:
            return _report(error, debug=debug)


def _run(words: Sequence[str]) -> int:
    """Parse the words and run the command."""
    command = typer.main.get_command(_app(words))
    code = command.main(list(words), prog_name="cellproof", standalone_mode=False)
    sys.stdout.flush()
    return int(code or 0)


def _report(error: Exception, *, debug: bool) -> int:
    """Say in one line what went wrong; returns the exit code."""
    from ..checks import InputError, UsageError  # brings NumPy, which `--help` need not wait for

    if isinstance(error, InputError):
        from ._options import with_advice

        _say_error(with_advice(str(error), error.arguments))
        return 2 if isinstance(error, UsageError) else 1
    if isinstance(error, _WRONG_USE):
        wrong: Any = error
        path = wrong.ctx.command_path if wrong.ctx else "cellproof"
        _say_error(f"{wrong.format_message().replace('Value error, ', '')} (see {path} --help)")
        return 2
    if debug:
        traceback.print_exc()
    _say_error(_fault(error))
    return 1


def _app(words: Sequence[str]) -> typer.Typer:
    """All commands, of which only the one that is called is imported."""
    app = typer.Typer(
        rich_markup_mode=None,
        add_completion=False,
        no_args_is_help=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    )
    app.callback(invoke_without_command=True)(_root)
    for name, summary in COMMANDS.items():
        app.command(name, help=None if name in words else summary)(
            _interruptible(_command(name)) if name in words else _stub
        )
    return app


class _Interrupted(Exception):  # noqa: N818
    """Ctrl-C, in a form that the option parser does not take for its own."""


def _interruptible(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same command, whose Ctrl-C reaches `main`."""

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except KeyboardInterrupt as error:
            raise _Interrupted from error

    return run


def _command(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(import_module(f".{name}", __name__), f"{name}_command")
    return function


def _stub() -> None:
    """Stands for a command that is not called."""


def _root(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    verbose: Annotated[  # taken out by `main`, and here for the help alone
        bool, typer.Option("--verbose", help="Show libraries' messages and tracebacks, also after a command.")
    ] = False,
) -> None:
    """Segment microscopy images, see where the result is unsure, and proofread it fast."""
    if show_version:
        typer.echo(f"cellproof {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


@contextlib.contextmanager
def _quiet(debug: bool) -> Iterator[None]:
    """Our own warnings as one line each, and silence of libraries; everything where faults are looked for."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s" if debug else "cellproof: %(message)s"))
    if not debug:
        handler.addFilter(lambda record: record.name.startswith("cellproof") and record.levelno >= logging.WARNING)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO if debug else logging.WARNING)
    with warnings.catch_warnings():
        if not debug:
            warnings.simplefilter("ignore")
        try:
            yield
        finally:
            root.removeHandler(handler)
            root.setLevel(level)


def _say_error(message: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        typer.echo(f"cellproof: error: {' '.join(message.splitlines())}", err=True)


def _fault(error: Exception) -> str:
    """One line on a fault of ours, with the place of its traceback."""
    import tempfile

    what = f"{type(error).__name__}: {' '.join(str(error).splitlines())[:200]}"
    text = f"CellProof {__version__}, Python {sys.version.split()[0]}, {sys.platform}\n{traceback.format_exc()}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="cellproof-", suffix=".log", delete=False, encoding="utf-8"
        ) as log:
            log.write(text)
    except OSError:
        return f"a fault of CellProof ({what}); run it again with --verbose and report what it prints"
    return f"a fault of CellProof ({what}); please report it with {log.name}"


def _drop_output() -> None:
    """Let the interpreter's last flush go nowhere, as the reader of our output is gone."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
