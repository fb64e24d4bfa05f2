"""What ``rival.py`` found, as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from page import table

from cellproof.io import read_json
from cellproof.metrics.paired import compare

TAUS = ("0.50", "0.60", "0.70", "0.80", "0.90")


def rival_section(path: Path) -> str:
    """Tables and sentences of a file that ``rival.py`` wrote."""
    found: dict[str, Any] = dict(read_json(path))
    results: dict[str, Any] = found["results"]
    peers: dict[str, Any] = found["peers"]
    ours = next(name for name in results if name not in peers)
    trained = found["ours"][ours]
    longer = f" --longer {found['longer']:g}" if found["longer"] else ""
    theirs = ", ".join(f"`{name}` {one['cpu seconds']:.0f} s, {one['steps']} steps" for name, one in peers.items())
    said = [
        f"`python benchmarks/rival.py DATA --minutes {found['minutes']:g}{longer}`, seed {found['seed']}, "
        f"{found['date']}, commit {found['commit']}. Trained on the same images, one thread each: ours "
        f"{trained['cpu seconds']:.0f} s of processor time (reading and thresholds too), "
        f"{trained['training']['steps']} steps; StarDist (training "
        f"alone) {theirs}. Ours starts from ImageNet weights of its encoder; StarDist, as is "
        f"its default, from random ones. Validation chose `{trained['method']}` for ours. {found['images']} images of "
        f"dsb2018 val, {results[ours]['protocol']['objects']} nuclei. AP by our protocol; StarDist's own `matching` "
        f"differs by {_largest_difference(results):.4f} at most.",
        "",
        table(["", *(f"AP({tau[:3]})" for tau in TAUS), "F1 at 0.5"], [_row(name, results[name]) for name in results]),
        "",
        table(
            ["", "merges per 100", "splits", "misses", "false", "found ≤ 12 px", "12 to 40 px", "≥ 40 px"],
            [_mistakes(name, results[name]["protocol"]) for name in results],
        ),
        "",
        *(_paired(results, ours, peer) for peer in peers),
        "",
        table(
            ["", "processor s", "Mpixel per processor s", "wall s"],
            [_speed(name, results[name]["seconds"], found["pixels"]) for name in results],
        ),
        "",
        f"Medians of {len(results[ours]['seconds'])} rounds in turns over all images, from pixels in memory to labels, "
        "one thread; ours also makes its difficulty map, table and verdict. The machine was shared: processor time "
        "is what counts.",
    ]
    return "\n".join(said)


def _row(name: str, result: dict[str, Any]) -> list[object]:
    pooled = result["protocol"]["pooled"]
    return [name, *(float(pooled[tau]["AP"]) for tau in TAUS), float(pooled["0.50"]["F1"])]


def _mistakes(name: str, own: dict[str, Any]) -> list[object]:
    counts = [f"{100 * own[key] / own['objects']:.1f}" for key in ("merges", "splits", "misses", "false")]
    recall, number = own["recall by size"], own["count by size"]
    sizes = [
        "–" if recall[size] is None else f"{100 * recall[size]:.0f} % of {number[size]}"
        for size in ("small", "middle", "large")
    ]
    return [name, *counts, *sizes]


def _paired(results: dict[str, Any], ours: str, peer: str) -> str:
    pairs = {}
    for key in ("AP 0.5 of each image", "merges of each image"):
        own, other = results[ours]["protocol"][key], results[peer]["protocol"][key]
        pairs[key] = compare(
            np.array([own[name] for name in own], float), np.array([other[name] for name in own], float)
        )
    words = []
    for key, pair in pairs.items():
        low, high = pair.interval if pair.interval is not None else (np.nan, np.nan)
        words.append(f"{key.replace(' of each image', '')} {pair.difference:+.3f} ({low:+.3f} to {high:+.3f})")
    return f"Ours less `{peer}`, image by image, mean and 95 % interval: {'; '.join(words)}.\n"


def _speed(name: str, seconds: list[list[float]], pixels: int) -> list[object]:
    wall, cpu = np.median(np.array(seconds), axis=0)
    return [name, f"{cpu:.1f}", f"{pixels / cpu / 1e6:.2f}", f"{wall:.1f}"]


def _largest_difference(results: dict[str, Any]) -> float:
    gaps = [
        abs(float(one["protocol"]["pooled"][f"{float(tau):.2f}"]["AP"]) - values["accuracy"])
        for one in results.values()
        for tau, values in one["matching"].items()
    ]
    return max(gaps)
