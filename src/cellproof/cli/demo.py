"""`cellproof demo`: the main job on pictures that come with the installation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..workflows.segment import JobSummary

_SEED = 2024
_REAL, _SIMULATED = "immunohistochemistry", "simulated_nuclei"


def demo_command(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for pictures and results.")] = Path(
        "cellproof_demo"
    ),
    model: Annotated[str, typer.Option(metavar="NAME|FILE", help="Model to use.")] = "nuclei",
) -> None:
    """Segment a real stained section and a simulated field of nuclei whose truth is known.

    The section is scikit-image's immunohistochemistry picture: human colon, nuclei in blue, FHL2 in brown.
    """
    from ..workflows.segment import segment_files
    from ._progress import watching_job
    from .segment import finish, show_summary

    pictures, truth = write_pictures(out)
    with watching_job() as watcher:
        summary = segment_files(
            pictures, out, model=model, overwrite=True, watcher=watcher, score=lambda: measure_scores(out, truth)
        )
    show_counts(summary)
    show_summary(summary)
    finish(summary)


def write_pictures(out: Path) -> tuple[list[Path], Path]:
    """Write both pictures under ``out/inputs`` and the simulated one's truth under ``out/truth``.

    Returns:
        The pictures, and the truth.

    Raises:
        InputError: The folder cannot be written.
    """
    import numpy as np
    from skimage.data import immunohistochemistry

    from ..io import atomic_path, make_folder, write_labels
    from ..report.overlay import write_overlay
    from ..simulate.nuclei import simulate_nuclei

    inputs, truths = make_folder(out / "inputs"), make_folder(out / "truth")
    field = simulate_nuclei(rng=np.random.default_rng(_SEED))
    real, simulated, truth = inputs / f"{_REAL}.png", inputs / f"{_SIMULATED}.tif", truths / f"{_SIMULATED}.tif"
    with atomic_path(real) as temporary:
        write_overlay(temporary, immunohistochemistry())
    write_labels(simulated, field.image)
    write_labels(truth, field.labels)
    return [real, simulated], truth


def measure_scores(out: Path, truth: Path) -> tuple[tuple[str, str], ...]:
    """Names and values of what the report says of the simulated field; none where it has no result."""
    from ..io import read_labels
    from ..workflows.evaluate import score_folders
    from ..workflows.segment import LABELS

    prediction = out / f"{_SIMULATED}{LABELS}"
    if not prediction.exists():
        return ()
    rows = score_folders(prediction, truth, protocol="stardist").rows
    wanted = {("AP (StarDist)", "0.5"): "AP at IoU 0.5", ("F1", "0.5"): "F1 at IoU 0.5"}
    wanted[("Dice", "foreground")] = "Dice of the foreground"
    counts = (
        ("simulated nuclei, true number", str(int(read_labels(truth).max()))),
        ("simulated nuclei, found", str(int(read_labels(prediction).max()))),
    )
    scores = {(row.metric, row.class_or_threshold): row.value for row in rows if row.averaging == "pooled"}
    return (*counts, *((title, f"{scores[key]:.3f}") for key, title in wanted.items()))


def show_counts(summary: JobSummary) -> None:
    """What was found in each picture, and how well the simulated one was, on stdout."""
    for outcome in summary.of("done"):
        if outcome.record is not None:
            typer.echo(f"{outcome.path.name}: {outcome.record.count} nuclei; {outcome.record.why}")
    for title, value in summary.run.scores:
        typer.echo(f"{title}: {value}")
