"""Time and memory of ``cellproof segment`` on a 2048 × 2048 image, from file to files.

Every run is a process of its own, as a user starts it. The first one converts the network and keeps it; the
others, whose medians count, read it from the cache. Two images: a mosaic of simulated fields and, where DATA
is given, one of mirrored fluorescence images of ``dsb2018`` val.

About 2 minutes on 2 idle cores. Times say little while the machine does something else.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tifffile
from child import Finished, run_cellproof
from page import load_note, table, write_page

from cellproof.data.description import read_description
from cellproof.data.index import index
from cellproof.io import read_image
from cellproof.simulate.nuclei import simulate_nuclei

TILE_PX = 512
NUCLEI_A_TILE = 110


def main() -> None:
    """Make the images, run the command on them, write the page."""
    arguments = _arguments()
    rng = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = {"simulated": _simulated(rng, arguments.size)}
        if arguments.data is not None:
            pictures["dsb2018 fluorescence, mirrored"] = _real(arguments.data, rng, arguments.size)
        environment = {"CELLPROOF_CACHE": str(folder / "cache")}
        lines = []
        for place, (title, pixels) in enumerate(pictures.items()):
            path = folder / f"picture{place}.tif"
            tifffile.imwrite(path, pixels)
            lines.append(_measure(title, path, folder / f"out{place}", environment, arguments))
        helps = [run_cellproof("--help").seconds for _ in range(arguments.help_runs)]
    names = list(lines[0])
    body = [
        f"{arguments.size} × {arguments.size} pixels; medians of {arguments.repeat} runs of each image, in "
        "brackets the extremes. Whole process: start of Python to its end, report included. File to file: read, "
        "network, instances, measurements and writing of labels, classes, difficulty, overlay and table, as in "
        "`run.json`.",
        "",
        table(["", *(line["picture"] for line in lines)], [[n, *(line[n] for line in lines)] for n in names[1:]]),
        "",
        f"`cellproof --help`: median {statistics.median(helps):.2f} s of {len(helps)} runs "
        f"({min(helps):.2f} to {max(helps):.2f} s).",
        "",
        load_note(),
    ]
    write_page("end_to_end", "From file to files", "\n".join(body), seed=arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="folder of dsb2018, for the second image")
    parser.add_argument("--model", default="nuclei", help="name or file (default: nuclei)")
    parser.add_argument("--size", type=int, default=2048, help="edge of the images in pixels (default: 2048)")
    parser.add_argument("--repeat", type=int, default=5, help="timed runs of each image (default: 5)")
    parser.add_argument("--help-runs", type=int, default=10, help="runs of cellproof --help (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the images")
    return parser.parse_args()


def _measure(
    title: str, path: Path, out: Path, environment: Mapping[str, str], arguments: argparse.Namespace
) -> dict[str, str]:
    """One column of the table."""
    converts = not Path(environment["CELLPROOF_CACHE"]).exists()
    words = ("segment", path, "--out", out, "--model", arguments.model, "--overwrite")
    first, _ = _run(words, out, environment)
    runs = [_run(words, out, environment) for _ in range(arguments.repeat)]
    megapixels = runs[0][1]["megapixels"]

    def median(values: Sequence[float], digits: int = 2) -> str:
        return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"

    parts = {
        name: [facts["inputs"][0]["seconds"][name] for _, facts in runs]
        for name in ("read", "network", "instances", "measure", "write")
    }
    return {
        "picture": title,
        "objects": str(_objects(out)),
        "file to file, Mpixel/s": median([facts["megapixels_per_s"] for _, facts in runs]),
        "whole process, Mpixel/s": median([megapixels / finished.seconds for finished, _ in runs]),
        "whole process, s": median([finished.seconds for finished, _ in runs]),
        "first start (converts the network), s": f"{first.seconds:.2f}" if converts else "–",
        "loading the model, s": median([facts["load_seconds"] for _, facts in runs]),
        **{f"{name}, s": median(values) for name, values in parts.items()},
        "all but the network, s": median([sum(facts) for facts in zip(*_without_network(parts), strict=True)]),
        "peak memory, GB": median([finished.peak_bytes / 1e9 for finished, _ in runs]),
        "peak memory of the first start, GB": f"{first.peak_bytes / 1e9:.2f}" if converts else "–",
        "engine": "{engine} {precision}".format(**runs[0][1]["engine"]),
    }


def _without_network(parts: Mapping[str, Sequence[float]]) -> list[Sequence[float]]:
    return [values for name, values in parts.items() if name != "network"]


def _run(words: Sequence[str | Path], out: Path, environment: Mapping[str, str]) -> tuple[Finished, dict]:
    finished = run_cellproof(*words, environment=environment)
    if finished.code:
        raise SystemExit(finished.errors)
    return finished, json.loads((out / "run.json").read_text(encoding="utf-8"))


def _objects(out: Path) -> int:
    return sum(1 for _ in (out / "objects.csv").open(encoding="utf-8")) - 1


def _simulated(rng: np.random.Generator, size: int) -> np.ndarray:
    """Fields of 512 px side by side, uint16."""
    return _mosaic(
        [
            simulate_nuclei(rng=rng, shape=(TILE_PX, TILE_PX), count=NUCLEI_A_TILE).image
            for _ in range(_tiles(size) ** 2)
        ],
        size,
    )


def _real(data: Path, rng: np.random.Generator, size: int) -> np.ndarray:
    """Drawn images, each mirrored at its edges or cut to 512 px, side by side, uint8."""
    description = read_description(data)
    assert description is not None
    records = [r for r in index(data, description) if r.split == "val" and r.attributes["modality"] == "fluorescence"]
    tiles = []
    for place in rng.choice(len(records), _tiles(size) ** 2, replace=_tiles(size) ** 2 > len(records)):
        pixels = read_image(records[place].image).pixels[0, 0][:TILE_PX, :TILE_PX]
        tiles.append(np.pad(pixels, [(0, TILE_PX - length) for length in pixels.shape], mode="symmetric"))
    return _mosaic(tiles, size)


def _tiles(size: int) -> int:
    return -(-size // TILE_PX)


def _mosaic(tiles: Sequence[np.ndarray], size: int) -> np.ndarray:
    across = _tiles(size)
    rows = [np.concatenate(tiles[place : place + across], axis=1) for place in range(0, len(tiles), across)]
    return np.ascontiguousarray(np.concatenate(rows)[:size, :size])


if __name__ == "__main__":
    main()
