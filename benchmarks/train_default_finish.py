"""Turn weights of `train_default_gpu.py` into a model file: thresholds and temperature from dsb2018 val.

``python benchmarks/train_default_finish.py OUT/small.pt --data DATA/dsb2018 --model nuclei.safetensors``

Of several files (``FIRST.safetensors OUT/medium.pt``: what a training started from, and what it ended with) the mean of
the weights is taken, which keeps what the first could and the second forgot (Wortsman et al. 2022, CVPR,
arXiv:2109.01903); the facts of the training are those of the last.

How the shipped model judges its results is fitted afterwards, on more degraded copies, by ``trust.py --write``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import torch
from torch import Tensor
from train_default_gpu import FOR_GPU, weights_of

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
    parser.add_argument("weights", type=Path, nargs="+", help="NAME.pt; several of one shape: their mean")
    parser.add_argument("--data", type=Path, required=True, help="the set dsb2018")
    parser.add_argument("--model", type=Path, required=True, help="file to write")
    parser.add_argument("--name", default="nuclei", help="of the model (default: nuclei)")
    parser.add_argument("--pixels", type=int, default=60_000_000, help="of val to look at (default: all)")
    arguments = parser.parse_args()
    content = torch.load(arguments.weights[-1], weights_only=True, map_location="cpu")
    content["state"] = _mean([weights_of(path) for path in arguments.weights])
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


def _mean(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Of every weight; of counters of steps, which nothing uses, those of the last."""
    mean = dict(states[-1])
    for name, value in mean.items():
        if value.is_floating_point():
            mean[name] = torch.stack([state[name].float() for state in states]).mean(dim=0)
    return mean


if __name__ == "__main__":
    main()
