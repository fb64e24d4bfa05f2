"""`cellproof demo`: the main job on images that come with the installation."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..checks import UsageError

if TYPE_CHECKING:
    from ..workflows.segment import JobSummary

_KNOWN = {
    "fluorescence": "fluorescence, nuclei of cultured cells",
    "histology": "hematoxylin and eosin, tissue section",
}
"""Images with reference masks; of the kinds that the model knows, though not the images themselves."""

_FOREIGN = "immunohistochemistry"

_MARK = "demo.txt"
_MARK_TEXT = "This folder was made by `cellproof demo`, which writes it anew each time.\n"


def demo_command(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for images and results.")] = Path(
        "cellproof_demo"
    ),
    model: Annotated[str, typer.Option(metavar="NAME|FILE", help="Model to use.")] = "nuclei",
) -> None:
    """Segment two real images, compare them with reference masks, and meet a stain that the model does not know.

    The two are from BBBC038 (CC0) and took no part in training. The third, scikit-image's immunohistochemistry image,
    is human colon with nuclei in blue and FHL2 in brown: see how the result says that it should not be used.
    """
    from ..workflows.segment import segment_files
    from ._progress import watching_job
    from .segment import finish, show_summary

    images, masks = write_images(out)
    with watching_job() as watcher:
        summary = segment_files(
            images, out, model=model, overwrite=True, watcher=watcher, score=lambda: measure_scores(out, masks)
        )
    show_known(summary)
    show_foreign(summary)
    show_summary(summary)
    finish(summary)


def write_images(out: Path) -> tuple[list[Path], dict[str, Path]]:
    """Write the three images under ``out/inputs`` and the masks of two under ``out/reference``.

    Returns:
        The images, and the masks by their images' names.

    Raises:
        UsageError: The folder holds something that is not the demo's.
        InputError: The folder cannot be written.
    """
    from skimage.data import immunohistochemistry

    from ..io import atomic_path, make_folder, write_bytes, write_text
    from ..report.overlay import write_overlay

    if out.exists() and not (out / _MARK).exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: holds files that are not the demo's; give another --out, as in --out my_demo")
    make_folder(out)
    write_text(out / _MARK, _MARK_TEXT)
    inputs, references = make_folder(out / "inputs"), make_folder(out / "reference")
    shipped = resources.files("cellproof") / "examples"
    for name in _KNOWN:
        write_bytes(inputs / f"{name}.png", (shipped / f"{name}.png").read_bytes())
        write_bytes(references / f"{name}.png", (shipped / f"{name}_mask.png").read_bytes())
    with atomic_path(inputs / f"{_FOREIGN}.png") as temporary:
        write_overlay(temporary, immunohistochemistry())
    images = [inputs / f"{name}.png" for name in (*_KNOWN, _FOREIGN)]
    return images, {name: references / f"{name}.png" for name in _KNOWN}


def measure_scores(out: Path, masks: dict[str, Path]) -> tuple[tuple[str, str], ...]:
    """Names and values of what the report says of each image; nothing of one without result."""
    from ..io import read_labels
    from ..workflows.evaluate import score_folders
    from ..workflows.segment import LABELS

    scores = []
    for name, mask in masks.items():
        prediction = out / f"{name}{LABELS}"
        if not prediction.exists():
            continue
        found, there = (int(read_labels(path).max(initial=0)) for path in (prediction, mask))
        rows = score_folders(prediction, mask, protocol="stardist").rows
        values = {(row.metric, row.class_or_threshold): row.value for row in rows if row.averaging == "pooled"}
        ap, f1, dice = (values[key] for key in (("AP (StarDist)", "0.5"), ("F1", "0.5"), ("Dice", "foreground")))
        words = f"{found} nuclei found, {there} drawn by a person; at IoU 0.5: AP {ap:.2f}, F1 {f1:.2f}"
        scores.append((name, f"{words}; Dice of the foreground {dice:.2f}"))
    scores.append((_FOREIGN, "no reference; a stain that the model was not trained on: see its verdict"))
    return tuple(scores)


def show_known(summary: JobSummary) -> None:
    """How well the images of known kinds were segmented, on stdout."""
    scores = dict(summary.run.scores)
    typer.echo("\nWhat the model knows, on images that it was not trained on:")
    for name, kind in _KNOWN.items():
        if name in scores:
            typer.echo(f"  {name} ({kind})\n    {scores[name]}")


def show_foreign(summary: JobSummary) -> None:
    """What became of the stain that the model does not know, on stdout."""
    for outcome in summary.outcomes:
        record = outcome.record
        if outcome.path.stem == _FOREIGN and record is not None:
            typer.echo("\nWhat it does not know, and how it says so:")
            typer.echo(f"  {_FOREIGN} (nuclei blue, a protein brown; no such stain was trained on)")
            typer.echo(f"    verdict {record.verdict}: {record.why}")
            typer.echo("    for images like these, draw a few masks and train: cellproof train FOLDER --out RUN\n")
