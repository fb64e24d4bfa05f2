"""Turn weights of `train_default_gpu.py` into a model file: thresholds and temperature from dsb2018 val.

``python benchmarks/train_default_finish.py OUT/small.pt --data DATA/dsb2018 --model nuclei.safetensors``

How the shipped model judges its results is fitted afterwards, on more degraded copies, by ``trust.py --write``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import torch
from train_default_gpu import FOR_GPU

from cellproof.data.folds import Fold
from cellproof.models.effnet_unet import build
from cellproof.recipe import override, read_recipe
from cellproof.workflows.collect import collect, find_records
from cellproof.workflows.predict.write import write_trained
from cellproof.workflows.train.build import heads_of
from cellproof.workflows.train.header import make_header
from cellproof.workflows.train.state import RunState, TrainRequest
from cellproof.workflows.train.tune import tune


def main() -> None:
    """Tune, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="the set dsb2018")
    parser.add_argument("--model", type=Path, required=True, help="file to write")
    parser.add_argument("--name", default="nuclei", help="of the model (default: nuclei)")
    parser.add_argument("--pixels", type=int, default=60_000_000, help="of val to look at (default: all)")
    arguments = parser.parse_args()
    content = torch.load(arguments.weights, weights_only=True, map_location="cpu")
    recipe = override(read_recipe("nuclei"), (*FOR_GPU, *content.get("settings", ())))
    model = msgspec.structs.replace(recipe.model, options=dict(content["options"]))
    training = msgspec.structs.replace(recipe.training, steps=int(content["steps"]))
    recipe = msgspec.structs.replace(recipe, name=arguments.name, model=model, training=training)
    records, description = find_records(arguments.data, print)
    collection = collect(records, description, recipe, print)
    names = {split: [r.name for r in collection.records if r.split == split] for split in ("train", "val")}
    fold = Fold(train=tuple(names["train"]), val=tuple(names["val"]))
    heads = heads_of(recipe, description)
    tuned = tune(
        [content["state"]],
        [collection.samples(fold.val)],
        recipe=recipe,
        heads=heads,
        module=build(in_channels=3, out_channels=heads.channels, **content["options"]),
        groups=collection.validation_groups([fold], recipe.data.balance),
        most_pixels=arguments.pixels,
    )
    request = TrainRequest(data=arguments.data, out=arguments.model.parent, seed=int(content["seed"]))
    state = RunState(request, recipe, description, [], [fold], content.get("device", "cuda"))
    header = make_header(1, collection, state, tuned)
    record = msgspec.structs.replace(
        header.training, steps=int(content["steps"]), seconds=round(float(content["seconds"]), 1)
    )
    header = msgspec.structs.replace(header, training=record)
    write_trained(arguments.model, header, [content["state"]], half_precision=recipe.model.half_precision)
    for name, value in sorted(tuned.metrics.items()):
        print(f"{name}: {value:.4f}")
    print(tuned.options, f"temperature {tuned.temperature:.3f}")


if __name__ == "__main__":
    main()
