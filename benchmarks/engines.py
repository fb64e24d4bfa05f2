"""Speed of the engines on the U-Net that the shipped models use, as a markdown table.

Run ``python benchmarks/engines.py``. The engines take turns, so that whatever else the machine does slows
all of them alike; the table gives medians. Weights are random: speed does not depend on them.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from torch import nn

from cellproof.inference.openvino_engine import openvino_engines
from cellproof.inference.torch_engine import torch_engines
from cellproof.models import load

IN_CHANNELS = 3
OUT_CHANNELS = 6


def main() -> None:
    """Time every engine and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="edge of the square input, in pixels")
    parser.add_argument("--rounds", type=int, default=5, help="timed runs of each engine, after one that is not timed")
    arguments = parser.parse_args()
    runs = _runs()
    batch = np.random.default_rng(0).random((1, IN_CHANNELS, arguments.size, arguments.size), dtype=np.float32)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(1 + arguments.rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run(batch)
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    _print_table(medians, pixels=arguments.size**2)


def _runs() -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What is compared; bf16 only where the processor has it."""
    example_shape = (IN_CHANNELS, 64, 64)
    runs: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "torch eager f32": torch_engines([_network()], precision="f32", device="cpu")[0],
        "OpenVINO f32": openvino_engines([_network()], example_shape=example_shape, precision="f32")[0],
    }
    if openvino_engines([nn.Identity()], example_shape=example_shape)[0].precision == "bf16":
        runs["torch channels-last bf16"] = torch_engines([_network()], precision="bf16", device="cpu")[0]
        runs["OpenVINO bf16"] = openvino_engines([_network()], example_shape=example_shape, precision="bf16")[0]
    return runs


def _network() -> nn.Module:
    torch.manual_seed(0)
    return load("unet", in_channels=IN_CHANNELS, out_channels=OUT_CHANNELS)


def _print_table(medians: dict[str, float], *, pixels: int) -> None:
    parameters = sum(parameter.numel() for parameter in _network().parameters())
    edge = int(pixels**0.5)
    print(f"U-Net of {parameters / 1e6:.1f} M parameters, {edge} × {edge} pixels, batch 1\n")
    print("| engine | s | Mpixel/s | × torch eager f32 |\n|---|---|---|---|")
    for name, seconds in medians.items():
        print(f"| {name} | {seconds:.3f} | {pixels / seconds / 1e6:.2f} | {medians['torch eager f32'] / seconds:.1f} |")
    versions = ", ".join(f"{name} {version(name)}" for name in ("cellproof", "torch", "openvino", "numpy"))
    print(f"\n{_processor()}, {torch.get_num_threads()} threads; Python {platform.python_version()}, {versions}")


def _processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
