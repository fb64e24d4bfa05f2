"""The entrance: help, version, exit codes, and no traceback for anybody."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import cellproof
from cellproof import cli
from cellproof.cli import COMMANDS, main
from cellproof.io import read_header
from cellproof.workflows.predict.load import find_model, model_names

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def pretend(monkeypatch, error):
    """Let every command raise an error."""

    def fails() -> None:
        raise error

    monkeypatch.setattr(cli, "_command", lambda name: fails)


def test_help_names_every_command_and_imports_none_of_them():
    code = (
        "import sys; from cellproof.cli import main; code = main(['--help']); "
        "heavy = {'numpy', 'torch', 'rich', 'scipy', 'cellproof.cli.segment'} & set(sys.modules); "
        "sys.exit(repr(heavy) if heavy else code)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    for name in COMMANDS:
        assert f"\n  {name}" in ended.stdout


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_of_its_own(name, capsys):
    assert main([name, "--help"]) == 0
    assert f"Usage: cellproof {name}" in capsys.readouterr().out


def test_the_version_is_the_packages(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"cellproof {cellproof.__version__}\n"
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    assert project["version"] == cellproof.__version__
    assert project["scripts"] == {"cellproof": "cellproof.cli:main"}


def test_without_a_command_help_is_shown(capsys):
    assert main([]) == 0
    assert "Commands:" in capsys.readouterr().out


def test_a_misspelled_command_is_wrong_use_and_the_right_one_is_guessed(capsys):
    assert main(["segmnt"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("cellproof: error: No such command 'segmnt'")
    assert err.count("\n") == 1


def test_a_fault_of_ours_is_one_line_and_its_traceback_lies_in_a_file(monkeypatch, capsys):
    pretend(monkeypatch, ZeroDivisionError("deep\ninside"))
    assert main(["doctor"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("cellproof: error: a fault of CellProof (ZeroDivisionError: deep inside); please report it")
    assert err.count("\n") == 1
    log = Path(err.split()[-1])
    assert "Traceback" in log.read_text(encoding="utf-8")
    log.unlink()


def test_the_traceback_is_shown_to_those_who_ask(monkeypatch, capsys):
    pretend(monkeypatch, ZeroDivisionError("deep"))
    monkeypatch.setenv("CELLPROOF_DEBUG", "1")
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    Path(lines[-1].split()[-1]).unlink()


def test_ctrl_c_is_one_line_and_code_130(monkeypatch, capsys):
    pretend(monkeypatch, KeyboardInterrupt())
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "cellproof: interrupted\n"


def test_a_reader_that_goes_away_is_no_fault():
    code = "import sys; from cellproof.cli import main; sys.exit(main(['--help']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""


def test_warnings_of_ours_are_lines_and_those_of_libraries_are_silent(monkeypatch, capsys):
    import logging
    import warnings

    def noisy() -> None:
        logging.getLogger("cellproof.io").warning("the disk is slow")
        logging.getLogger("tifffile").error("corrupted")
        warnings.warn("numpy grumbles", RuntimeWarning, stacklevel=1)

    monkeypatch.setattr(cli, "_command", lambda name: noisy)
    assert main(["doctor"]) == 0
    assert capsys.readouterr().err == "cellproof: the disk is slow\n"


def test_models_lists_the_shipped_ones_and_shows_their_cards(capsys):
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert sorted(listed) == model_names()
    assert main(["models"]) == 0
    table = capsys.readouterr().out
    for name in model_names():
        header = read_header(find_model(name))
        assert name in table
        assert main(["models", name]) == 0
        card = capsys.readouterr().out
        assert card.startswith(f"{name}: {header.description}")
        assert header.training.license in card
        assert f"  AP at IoU 0.5: {header.metrics['ap50']:.3f}\n" in card
        assert card.endswith(f"recipe: cellproof models {name} --recipe\n")
        assert main(["models", name, "--recipe"]) == 0
        assert capsys.readouterr().out.strip() == header.training.recipe.strip()


def test_a_model_that_does_not_exist_has_no_card(capsys):
    assert main(["models", "nonsense"]) == 2
    assert "no model 'nonsense'" in capsys.readouterr().err
