"""Our network against StarDist in one run: trained for the same time on the same images, one thread each.

Ours is trained for so many minutes by the clock; StarDist then gets the same processor time, for other processes of a
shared machine do not take the same from both. ``--longer`` trains a second StarDist for so many minutes of processor
time, since after as little as ours needs it has hardly begun to learn.

The images are those of dsb2018 train whose modality is fluorescence, of which every tenth is held out for thresholds;
the images scored are those of dsb2018 val, of which neither has seen anything. Both are scored by our ``stardist``
protocol and by StarDist's own ``matching``, and timed in turns, from pixels in memory to labels. What is done is kept
in ``--work`` and not done again; the numbers go to ``WORK/rival.json``, which ``beker2020_heads.py`` reads.

    sh benchmarks/peers/install.sh ENVIRONMENTS
    python benchmarks/rival.py DATA --peer ENVIRONMENTS/stardist/bin/python --minutes 12
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from page import commit, machine
from PIL import Image

import cellproof
from cellproof.data.description import read_description
from cellproof.data.index import Record, attribute, index
from cellproof.io import read_header, read_image, read_json, read_labels, write_json, write_text
from cellproof.metrics import objects
from cellproof.metrics.protocols import ObjectImage, count_objects

PEERS = Path(__file__).parent / "peers"

HELD_OUT_EVERY = 10

LARGE_PX, SMALL_PX = 40.0, 12.0
"""Equivalent diameters from which a nucleus is called large, and up to which it is called small."""


def main() -> None:
    """Do what is missing, write the numbers."""
    arguments = _arguments()
    work = arguments.work.resolve()
    data, test = work / "data", work / "test"
    if not (work / "data.done").exists():
        _write_data(arguments.data / "dsb2018", data, test)
        write_text(work / "data.done", "")
    trained = {name: _train_ours(name, arguments, data, work) for name in arguments.ours}
    minutes = max(float(one["cpu seconds"]) for one in trained.values()) / 60
    peers = {"stardist": _train_peer(arguments, data, work / "stardist", minutes=minutes)}
    if arguments.longer:
        peers["stardist_longer"] = _train_peer(arguments, data, work / "stardist_longer", minutes=arguments.longer)
    seconds, pixels, images = _timed(arguments, test, work, tuple(peers), tuple(trained))
    results: dict[str, Any] = {}
    for name in (*peers, *trained):
        said = {path.stem: read_labels(path) for path in sorted((work / "said" / name).glob("*.png"))}
        results[name] = {
            "seconds": seconds[name],
            "protocol": _scored(said, test / "masks"),
            "matching": _peer(arguments, "match", work / "said" / name, test / "masks"),
        }
    write_json(
        work / "rival.json",
        {
            "minutes": arguments.minutes,
            "longer": arguments.longer,
            "seed": arguments.seed,
            "commit": commit(),
            "machine": machine(),
            "date": datetime.date.today().isoformat(),
            "pixels": pixels,
            "images": images,
            "peers": peers,
            "ours": trained,
            "results": results,
        },
    )
    print(json.dumps(results, indent=1, default=str)[:4000])


def _write_data(source: Path, data: Path, test: Path) -> None:
    """The fluorescence images as folders that both tools read."""
    description = read_description(source)
    assert description is not None
    records = [one for one in index(source, description) if attribute(one, "modality") == "fluorescence"]
    learned = [one for one in records if one.split == "train"]
    held_out = learned[::HELD_OUT_EVERY]
    names = {one.name for one in held_out}
    _copy([one for one in learned if one.name not in names], data / "train")
    _copy(held_out, data / "val")
    _copy([one for one in records if one.split == "val"], test)
    write_text(data / "dataset.toml", 'name = "fluorescence"\nmasks = "instances"\nclasses = ["nucleus"]\n')


def _copy(records: Sequence[Record], folder: Path) -> None:
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for record in records:
        Image.fromarray(read_image(record.image).pixels[0, 0]).save(folder / "images" / f"{record.name}.png")
        Image.fromarray(read_labels(record.mask).astype(np.uint16)).save(folder / "masks" / f"{record.name}.png")


def _train_ours(name: str, arguments: argparse.Namespace, data: Path, work: Path) -> dict[str, Any]:
    """Train one of our recipes for the time; what its training says of itself."""
    run = work / name
    if not (run / "model.safetensors").exists():
        begun = (run / "run.json").exists()
        how = ["--resume"] if begun else ["--recipe", str(PEERS / f"{name}.toml"), "--time", f"{arguments.minutes}min"]
        command = [sys.executable, "-m", "cellproof", "train", str(data), "--out", str(run), *how]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*command, *([] if begun else ["--seed", str(arguments.seed)])], check=True, env=_one_thread())
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        write_json(work / f"{name}-cpu.json", {"cpu seconds": spent})
    header = read_header(run / "model.safetensors")
    spent_s = dict(read_json(work / f"{name}-cpu.json"))
    return {
        **spent_s,
        "method": header.instance.method,
        "training": _plain(header.training),
        "architecture": header.architecture,
    }


def _plain(value: object) -> object:
    import msgspec

    return msgspec.to_builtins(value)


def _train_peer(arguments: argparse.Namespace, data: Path, run: Path, *, minutes: float) -> dict[str, Any]:
    done = run.with_suffix(".json")
    if not done.exists():
        options = ("--minutes", f"{minutes:.3f}", "--seed", str(arguments.seed))
        write_json(done, _peer(arguments, "train", data, run, *options))
    return dict(read_json(done))


def _timed(
    arguments: argparse.Namespace, test: Path, work: Path, peers: Sequence[str], ours: Sequence[str]
) -> tuple[dict[str, list[list[float]]], int, int]:
    """Wall and processor seconds of each round over all test images, in turns; predictions are written too."""
    images = {path.stem: read_image(path).pixels[0, 0] for path in sorted((test / "images").iterdir())}
    models = {name: cellproof.load_model(work / name, engine="auto", threads=1) for name in ours}
    seconds: dict[str, list[list[float]]] = {name: [] for name in (*peers, *ours)}
    for number in range(arguments.rounds):
        for name in peers:
            found = _peer(arguments, "predict", work / name, test / "images", work / "said" / name)
            seconds[name] += list(found["seconds"])
        for name, model in models.items():
            folder = work / "said" / name
            folder.mkdir(parents=True, exist_ok=True)
            if number == 0:
                model.segment(next(iter(images.values())))
            started, cpu = time.perf_counter(), time.process_time()
            labels = {stem: model.segment(pixels).labels for stem, pixels in images.items()}
            seconds[name].append([time.perf_counter() - started, time.process_time() - cpu])
            for stem, values in labels.items():
                Image.fromarray(values.astype(np.uint16)).save(folder / f"{stem}.png")
    return seconds, sum(image.size for image in images.values()), len(images)


def _scored(said: dict[str, np.ndarray], masks: Path) -> dict[str, Any]:
    """Counts by our protocol, pooled and of each image, and recall by the size of the nucleus."""
    counted, sizes = {}, {"small": [0, 0], "middle": [0, 0], "large": [0, 0]}
    for name, labels in said.items():
        reference = read_labels(masks / f"{name}.png")
        counted[name] = count_objects(labels, reference)
        _count_sizes(labels, reference, sizes)
    every = list(counted.values())
    pooled = {}
    for place, threshold in enumerate(objects.THRESHOLDS):
        total = sum((one.matches[place] for one in every[1:]), start=every[0].matches[place])
        pooled[f"{threshold:.2f}"] = {"AP": objects.average_precision(total), "F1": objects.f1(total)}
    mistakes = sum((one.mistakes for one in every[1:]), start=every[0].mistakes)
    return {
        "pooled": pooled,
        "objects": sum(one.n_objects for one in every),
        "merges": mistakes.merges,
        "splits": mistakes.splits,
        "misses": mistakes.misses,
        "false": mistakes.false,
        "recall by size": {size: right / all_of if all_of else None for size, (right, all_of) in sizes.items()},
        "count by size": {size: all_of for size, (_, all_of) in sizes.items()},
        "AP 0.5 of each image": {name: _ap(one) for name, one in counted.items()},
        "merges of each image": {name: one.mistakes.merges for name, one in counted.items()},
        "objects of each image": {name: one.n_objects for name, one in counted.items()},
    }


def _ap(counts: ObjectImage) -> float:
    return float(objects.average_precision(counts.matches[0]))


def _count_sizes(labels: np.ndarray, reference: np.ndarray, sizes: dict[str, list[int]]) -> None:
    """Add nuclei found at IoU 0.5, and all, by their size."""
    areas = np.bincount(reference.ravel())
    pairs, shared = np.unique(np.stack([reference.ravel(), labels.ravel()]), axis=1, return_counts=True)
    said = np.bincount(labels.ravel())
    best: dict[int, float] = {}
    for (true, claimed), both in zip(pairs.T.tolist(), shared.tolist(), strict=True):
        if true and claimed:
            best[true] = max(best.get(true, 0.0), both / (areas[true] + said[claimed] - both))
    for number in np.flatnonzero(areas)[1:] if areas[0] else np.flatnonzero(areas):
        diameter = float(np.sqrt(4 * areas[number] / np.pi))
        size = "large" if diameter >= LARGE_PX else "small" if diameter <= SMALL_PX else "middle"
        sizes[size][0] += best.get(int(number), 0.0) > 0.5
        sizes[size][1] += 1


def _peer(arguments: argparse.Namespace, *words: object) -> dict[str, Any]:
    """What StarDist's script prints on its last line."""
    command = [str(arguments.peer), str(PEERS / "stardist_peer.py"), *map(str, words)]
    done = subprocess.run(command, check=True, env=_one_thread(), stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def _one_thread() -> dict[str, str]:
    without = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    package = str(Path(cellproof.__file__).parents[1])
    return {**without, "PYTHONPATH": package, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds dsb2018")
    parser.add_argument("--peer", type=Path, required=True, help="python of StarDist's environment")
    parser.add_argument("--minutes", type=float, default=12.0, help="training time of each (default: 12)")
    parser.add_argument("--longer", type=float, help="minutes of a second StarDist (default: none)")
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds over all images (default: 3)")
    parser.add_argument("--ours", nargs="+", default=["ours"], help="recipes in peers/ (default: ours)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("results/benchmarks/rival"), help="where results are kept")
    return parser.parse_args()


if __name__ == "__main__":
    main()
