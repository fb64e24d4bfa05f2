"""Speed of the engines on the shipped network and on a plain U-Net, which take turns.

``python benchmarks/engines.py`` on a machine that does nothing else. Every round runs each engine once, so that
whatever the machine does besides slows all of them alike; the table gives medians. The U-Net's weights are random:
speed does not depend on them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from page import load_note, table, write_page

from cellproof.checks import InputError
from cellproof.inference.openvino_engine import openvino_engines
from cellproof.inference.torch_engine import torch_engines
from cellproof.models import load
from cellproof.workflows.predict import EngineChoice, load_model

IN_CHANNELS, OUT_CHANNELS = 3, 4

Run = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Time every engine on both networks, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, help="edge of the square input, in pixels")
    parser.add_argument("--rounds", type=int, default=7, help="timed runs of each engine, after one that is not timed")
    arguments = parser.parse_args()
    batch = np.random.default_rng(0).random((1, IN_CHANNELS, arguments.size, arguments.size), dtype=np.float32)
    body = []
    for title, runs in (("The shipped model, `nuclei`", _shipped()), ("A plain U-Net, 7.2 M parameters", _plain())):
        seconds = _seconds(runs, batch, arguments.rounds)
        slowest = seconds["torch, f32"]
        rows = [
            [name, f"{own:.3f}", f"{arguments.size**2 / own / 1e6:.2f}", f"{slowest / own:.1f}"]
            for name, own in seconds.items()
        ]
        body += [f"## {title}", "", table(["engine", "s", "Mpixel/s", "× torch, f32"], rows), ""]
    body += [f"{arguments.size} × {arguments.size} pixels, batch 1, {torch.get_num_threads()} threads. {load_note()}"]
    write_page("engines", "Engines", "\n".join(body))


def _shipped() -> dict[str, Run]:
    """The model as `segment` runs it, by each engine and precision that this machine has."""
    runs: dict[str, Run] = {}
    for engine, precision in (
        ("torch", "f32"),
        ("torch", "bf16"),
        ("openvino", "f32"),
        ("openvino", "bf16"),
        ("openvino", "int8"),
    ):
        try:
            model = load_model("nuclei", EngineChoice(engine, precision, "cpu"))  # type: ignore[arg-type]
        except InputError as error:
            print(f"left out: {error}")
            continue
        runs[f"{engine}, {precision}"] = model.engines[0]
    return runs


def _plain() -> dict[str, Run]:
    """The same of a U-Net; bf16 only where the processor computes it."""
    torch.manual_seed(0)
    network = load("unet", in_channels=IN_CHANNELS, out_channels=OUT_CHANNELS)
    shape = (IN_CHANNELS, 64, 64)
    runs: dict[str, Run] = {
        "torch, f32": torch_engines([network], precision="f32", device="cpu")[0],
        "openvino, f32": openvino_engines([network], example_shape=shape, precision="f32")[0],
    }
    try:
        runs["openvino, bf16"] = openvino_engines([network], example_shape=shape, precision="bf16")[0]
        runs["torch, bf16"] = torch_engines([network], precision="bf16", device="cpu")[0]
    except InputError as error:
        print(f"left out: {error}")
    return runs


def _seconds(runs: Mapping[str, Run], batch: np.ndarray, rounds: int) -> dict[str, float]:
    """Median seconds of each, taken in turns."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(1 + rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run(batch)
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


if __name__ == "__main__":
    main()
