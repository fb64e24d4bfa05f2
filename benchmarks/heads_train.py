"""The network on whose maps `heads.py` compares decoders: boundary, height and star-convex polygons learned at once.

It starts from the shipped model `nuclei`, whose last layer fits none of these outputs and is drawn anew; that model has
learned boundary and height before, which favors the watershed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from cellproof.cli import main as cellproof
from cellproof.data.description import read_description
from cellproof.data.index import index

RECIPE = Path(__file__).with_name("heads.toml")


def train_network(data: Path, run: Path, *, by: str, only: str, minutes: float, seed: int) -> None:
    """Train on the train split of a set, of which a part is held out; a finished run is left as it is.

    Args:
        data: Folder of the set.
        run: Folder of the run, beside which RUN-data links to the images.
        by: Column of the set's table.
        only: Value in that column that images must have; "" for all.
        minutes: Time for everything.
        seed: Of the training.
    """
    if (run / "model.safetensors").is_file():
        return
    linked = run.with_name(f"{run.name}-data")
    shutil.rmtree(linked, ignore_errors=True)
    description = read_description(data)
    for record in index(data, description):
        if record.split == "train" and (not only or record.attributes.get(by) == only):
            for kind, file in (("images", record.image), ("masks", record.mask)):
                (linked / kind).mkdir(parents=True, exist_ok=True)
                (linked / kind / file.name).symlink_to(file.resolve())
    (linked / "dataset.toml").write_text('name = "linked"\nmasks = "instances"\nclasses = ["nucleus"]\n')
    words = ["train", str(linked), "--out", str(run), "--recipe", str(RECIPE), "--init", "nuclei", "--seed", str(seed)]
    words += ["--time", f"{60 * minutes:g}s"]
    if cellproof(["train", str(linked), "--out", str(run), "--resume"] if run.is_dir() else words):
        raise SystemExit(1)
