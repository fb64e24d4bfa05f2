"""`cellproof doctor`: what is installed, what the machine can do, and whether an image is segmented."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import typer

_LEAST_FREE_BYTES = 10**9
_NUCLEI = 12
_TOLERATED = 0.34
"""Share by which the number of simulated nuclei may be missed."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What.
        said: What was found, and what to do where it is wrong.
        fine: False makes the exit code 1.
    """

    subject: str
    said: str
    fine: bool = True


def doctor_command() -> None:
    """Check this installation: versions, devices, folders, the default model, and one simulated image."""
    findings = []
    for finding in examine():
        findings.append(finding)
        typer.echo(f"{'ok  ' if finding.fine else 'FAIL'}  {finding.subject}: {finding.said}")
    bad = sum(not finding.fine for finding in findings)
    typer.echo("all is well" if not bad else f"{bad} of {len(findings)} checks failed")
    if bad:
        raise typer.Exit(1)


def examine() -> Iterator[Finding]:
    """Look at everything, the quick things first."""
    yield Finding("machine", f"{platform.platform()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    for package in ("cellproof", "numpy", "scipy", "scikit-image", "torch", "openvino", "tifffile", "pillow"):
        yield _version(package)
    yield from _folders()
    yield _torch()
    yield _openvino()
    if find_spec("torchvision") is not None:
        yield _torchvision()
    yield from _self_test()


def _version(package: str) -> Finding:
    try:
        return Finding(package, version(package))
    except PackageNotFoundError:
        return Finding(package, f"not installed; pip install {package}", fine=False)


def _folders() -> Iterator[Finding]:
    """Whether the cache and the folder for temporary files can be written, and have room."""
    from ..inference.ir_cache import cache_root

    for subject, folder in (("cache", cache_root()), ("temporary files", Path(tempfile.gettempdir()))):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".cellproof-"):
                free = shutil.disk_usage(folder).free
        except OSError as error:
            said = f"{folder} cannot be written ({error.strerror}); set CELLPROOF_CACHE or TMPDIR to a folder that can"
            yield Finding(subject, said, fine=False)
            continue
        said = f"{folder}, {free / 1e9:.1f} GB free"
        yield Finding(
            subject, said if free >= _LEAST_FREE_BYTES else f"{said}; free some space", free >= _LEAST_FREE_BYTES
        )


def _torch() -> Finding:
    import torch

    devices = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("Apple GPU")
    return Finding("torch devices", ", ".join(["processor", *devices]) + f"; {torch.get_num_threads()} threads")


def _openvino() -> Finding:
    if find_spec("openvino") is None:
        return Finding("OpenVINO", "not installed, so that torch is used; pip install openvino", fine=False)
    from ..inference.openvino_engine import processor

    name, capabilities = processor()
    return Finding("OpenVINO", f"{name}; {', '.join(capabilities)}")


def _torchvision() -> Finding:
    """CellProof does not need torchvision, but many packages beside it do."""
    try:
        import torchvision  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        reason = " ".join(str(error).splitlines())[:120]
        return Finding(
            "torchvision",
            f"{version('torchvision')} does not load ({reason}); it was built for another torch. "
            "CellProof does not use it; for other packages, install the one that matches from your torch's index",
        )
    return Finding("torchvision", f"{torchvision.__version__}, loads")


def _self_test() -> Iterator[Finding]:
    """Whether the default model loads, and finds about the right number of nuclei in a simulated field."""
    import time

    import numpy as np

    from ..checks import InputError
    from ..simulate.nuclei import simulate_nuclei
    from ..workflows.predict import load_model
    from ..workflows.segment import segment_plane

    try:
        started = time.perf_counter()
        model = load_model("nuclei")
        loaded = time.perf_counter()
        field = simulate_nuclei(rng=np.random.default_rng(7), shape=(256, 256), count=_NUCLEI, clumping=0.0)
        result = segment_plane(model, field.image[None])
        finished = time.perf_counter()
    except InputError as error:
        yield Finding("model nuclei", str(error), fine=False)
        return
    yield Finding("model nuclei", f"loads in {loaded - started:.1f} s; {model.engines[0].reason}")
    found, true = result.quality.count, int(field.labels.max())
    yield Finding(
        "self-test",
        f"{found} of {true} simulated nuclei found in {finished - loaded:.1f} s",
        fine=abs(found - true) <= _TOLERATED * true,
    )
