"""Speed and memory of ``cellproof segment`` from files to files, beside what the machine can do and what others need.

Two jobs with default options, all outputs written, start-up included: images of 2048 × 2048 pixels, and many of
520 × 696. Each run is a process of its own, as a user starts it; the first one, which converts the network, is told
apart. In the same rounds, one after the other, run: the model of ``--baseline``, a plain U-Net in eager PyTorch, and
the networks alone of StarDist and Cellpose 3 where ``--stardist`` and ``--cellpose`` name the Python of environments
made by ``peers/install.sh``. Medians over rounds, so that whatever else the machine does slows all of them alike.

The baseline, slow as earlier versions are, runs in the first rounds only, and on a tenth of the many images. About 7
minutes on 2 idle cores; ``--large 1 --small 4 --rounds 1`` tries the script in one. Times say little while the machine
does something else.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tifffile
import torch
from child import run_cellproof
from page import FOLDER, load_note, table, write_page

from cellproof.data.description import read_description
from cellproof.data.index import index
from cellproof.inference.torch_engine import torch_engines
from cellproof.io import read_image
from cellproof.models import load
from cellproof.simulate.nuclei import simulate_nuclei

TILE_PX = 512
NUCLEI_A_TILE = 110
PARTS = ("read", "network", "instances", "measure", "write")


@dataclass
class Job:
    """Images of one size in a folder, and what was measured on them.

    Attributes:
        title: For the table.
        shape: (H, W) of an image.
        folder: Of the images.
        few: Folder of as many of them as the baseline is asked for.
        megapixels: In all images.
        runs: Contender → for each round seconds, processor seconds, peak memory in bytes, what ``run.json`` says.
        first: Contender → seconds and peak memory of the first start, which converts the network.
    """

    title: str
    shape: tuple[int, int]
    folder: Path
    few: Path
    megapixels: float = 0.0
    runs: dict[str, list[tuple[float, float, int, Mapping]]] = field(default_factory=dict)
    first: dict[str, tuple[float, int]] = field(default_factory=dict)


def main() -> None:
    """Make the images, run the contenders in turns, write the page."""
    arguments = _arguments()
    rng = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs = [
            Job(f"{arguments.large} images of 2048 × 2048", (2048, 2048), folder / "large", folder / "large"),
            Job(f"{arguments.small} images of 520 × 696", (520, 696), folder / "small", folder / "few"),
        ]
        for job, count in zip(jobs, (arguments.large, arguments.small), strict=True):
            _write_images(job, count, rng, arguments.data)
        jobs[1].few.mkdir()
        for path in sorted(jobs[1].folder.iterdir())[:: max(1, arguments.small // 20)]:
            shutil.copy(path, jobs[1].few)
        models = {"this": arguments.model}
        if arguments.baseline:
            models["baseline"] = arguments.baseline
        ceilings = _ceilings()
        for number in range(-1, arguments.rounds):
            for job in jobs:
                if number < 0 and job is not jobs[0]:
                    continue  # the network was converted for the other job
                for title, model in models.items():
                    if title != "baseline" or number < arguments.baseline_rounds:
                        _run(job, title, model, folder, is_first=number < 0)
                if number >= 0:
                    _time_networks(job, {"StarDist": arguments.stardist, "Cellpose": arguments.cellpose})
        helps = [run_cellproof("--help").seconds for _ in range(10)]
    body = ["## Machine", "", ceilings, ""]
    for job in jobs:
        body += [f"## {job.title}", "", _table(job), ""]
    body += [
        "Files to files: start of Python to its end, report included. Parts as in `run.json`, summed over images; "
        "where they overlap they add up to more than the whole. Networks alone: warm, without reading, objects and "
        "writing; StarDist 2D with its default configuration, Cellpose 3 at its own diameter and with its own tiles.",
        "",
        f"`cellproof --help`: median {statistics.median(helps):.2f} s of {len(helps)} runs ({min(helps):.2f} to "
        f"{max(helps):.2f} s).",
        "",
        load_note(),
    ]
    write_page("speed", "Speed, from files to files", "\n".join(body), seed=arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="folder of dsb2018: half of the images are made of its val")
    parser.add_argument("--model", default="nuclei", help="name or file (default: nuclei)")
    parser.add_argument("--baseline", help="another model file, for instance that of an earlier version")
    parser.add_argument("--stardist", type=Path, help="python of an environment with StarDist (peers/install.sh)")
    parser.add_argument("--cellpose", type=Path, help="python of an environment with Cellpose 3 (peers/install.sh)")
    parser.add_argument("--large", type=int, default=4, help="images of 2048 × 2048 (default: 4)")
    parser.add_argument("--small", type=int, default=200, help="images of 520 × 696 (default: 200)")
    parser.add_argument("--rounds", type=int, default=3, help="timed runs of each contender (default: 3)")
    parser.add_argument("--baseline-rounds", type=int, default=1, help="rounds of the baseline (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the images")
    return parser.parse_args()


def _run(job: Job, title: str, model: str, folder: Path, *, is_first: bool) -> None:
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    words = ("segment", job.few if title == "baseline" else job.folder, "--out", out, "--model", model)
    finished = run_cellproof(*words, environment={"CELLPROOF_CACHE": str(folder / f"cache-{title}")})
    if finished.code:
        raise SystemExit(finished.errors)
    facts = json.loads((out / "run.json").read_text(encoding="utf-8"))
    if title != "baseline":
        job.megapixels = facts["megapixels"]
    if is_first:
        job.first[title] = (finished.seconds, finished.peak_bytes)
        return
    job.runs.setdefault(title, []).append((finished.seconds, finished.processor_s, finished.peak_bytes, facts))


def _time_networks(job: Job, peers: Mapping[str, Path | None]) -> None:
    """A plain U-Net in eager PyTorch, and the networks of other tools, on one image of the job's size."""
    found = {"plain U-Net, PyTorch eager f32, network alone": _seconds(_plain_network(), job.shape)}
    for peer, python in peers.items():
        if python is None:
            continue
        script = FOLDER / "peers" / f"{peer.lower()}_speed.py"
        words = [str(python), str(script), *map(str, job.shape)]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        found[f"{peer}, network alone"] = float(said.strip().splitlines()[-1])
    images = job.megapixels / (job.shape[0] * job.shape[1] / 1e6)
    for title, seconds in found.items():
        job.runs.setdefault(title, []).append((seconds * images, 0.0, 0, {}))


def _plain_network() -> Callable[[np.ndarray], np.ndarray]:
    torch.manual_seed(0)
    network = load("unet", in_channels=1, out_channels=3, width=32, depth=4)
    return torch_engines([network], precision="f32", device="cpu")[0]


def _seconds(run: Callable[[np.ndarray], np.ndarray], shape: tuple[int, int]) -> float:
    """Seconds that an image of this shape takes, tile by tile; the best of two, after one that is not timed."""
    tile = np.zeros((1, 1, 512, 512), np.float32)
    run(tile)
    times = []
    for _ in range(2):
        start = time.perf_counter()
        run(tile)
        times.append(time.perf_counter() - start)
    return min(times) * shape[0] * shape[1] / tile.size


def _ceilings() -> str:
    """What the machine itself can do: matrix products of 2048, and copying memory."""
    rows = []
    for name, dtype in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        one = torch.rand(2048, 2048).to(dtype)
        rows.append([f"matrix product {name}, TFLOP/s", f"{2 * 2048**3 / _best(lambda one=one: one @ one) / 1e12:.2f}"])
    large = np.zeros(2**27, np.uint8)
    rows.append(["copying memory, GB/s", f"{2 * large.nbytes / _best(large.copy) / 1e9:.1f}"])
    return table([f"{torch.get_num_threads()} threads", "best of 5"], rows)


def _best(act: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return min(times)


def _table(job: Job) -> str:
    rival = job.runs.get("StarDist, network alone")
    rows = []
    for title, runs in job.runs.items():
        seconds = [run[0] for run in runs]
        megapixels = next((run[3]["megapixels"] for run in runs if run[3]), job.megapixels)
        rate = megapixels / statistics.median(seconds)
        ratio = f"{rate * statistics.median(r[0] for r in rival) / job.megapixels:.2f}" if rival else "–"
        busy = [run[1] for run in runs if run[1]]
        memory = [run[2] / 1e9 for run in runs if run[2]]
        facts = [run[3] for run in runs if run[3]]
        parts = [_median([one["seconds_of_parts"][part] for one in facts]) for part in PARTS]
        first = job.first.get(title)
        rows.append(
            [
                f"{title}, files to files" if facts else title,
                f"{rate:.2f}",
                ratio,
                _median(seconds),
                _median(busy),
                f"{first[0]:.1f}" if first else "–",
                _median(memory),
                *parts,
            ]
        )
    headings = ["", "Mpixel/s", "× StarDist's network", "seconds", "processor s", "first start, s", "peak memory, GB"]
    return table([*headings, *(f"{part}, s" for part in PARTS)], rows)


def _median(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})" if values else "–"


def _write_images(job: Job, count: int, rng: np.random.Generator, data: Path | None) -> None:
    """Mosaics of simulated fields and, in turn where there are data, of mirrored fluorescence images."""
    job.folder.mkdir()
    real = _real_tiles(data) if data is not None else []
    simulated = [
        simulate_nuclei(rng=rng, shape=(TILE_PX, TILE_PX), count=NUCLEI_A_TILE).image.astype(np.uint16)
        for _ in range(24)
    ]
    for number in range(count):
        tiles = real if real and number % 2 else simulated
        tifffile.imwrite(job.folder / f"image{number:03d}.tif", _mosaic(tiles, job.shape, rng))


def _real_tiles(data: Path) -> list[np.ndarray]:
    """Fluorescence images of val, each mirrored at its edges or cut to 512 px, uint8."""
    description = read_description(data)
    assert description is not None
    tiles = []
    for record in index(data, description):
        if record.split == "val" and record.attributes["modality"] == "fluorescence":
            pixels = read_image(record.image).pixels[0, 0][:TILE_PX, :TILE_PX]
            tiles.append(np.pad(pixels, [(0, TILE_PX - length) for length in pixels.shape], mode="symmetric"))
    return tiles


def _mosaic(tiles: Sequence[np.ndarray], shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    rows, columns = (-(-length // TILE_PX) for length in shape)
    drawn = [
        np.concatenate([tiles[place] for place in rng.integers(len(tiles), size=columns)], axis=1) for _ in range(rows)
    ]
    return np.ascontiguousarray(np.concatenate(drawn)[: shape[0], : shape[1]])


if __name__ == "__main__":
    main()
