"""Ways of telling objects apart, compared on the maps of one network.

The network learned all outputs at once (boundary, height, flow, star-convex polygons; those that it has), so that the
decoders differ in nothing else. Each is scored with the model's own thresholds, with thresholds chosen on all images
(too good, alike for all), and cross-fitted: thresholds chosen on one half of the images score the other half.

About 4 minutes for the 79 images of dsb2018 val on 2 idle cores; ``--images 20`` takes one. ``--train 20`` first trains
such a network for 20 minutes, as `heads_train.py` says, where ``--run`` holds none; ``--only fluorescence`` keeps to
that group of images, in training and scoring.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import torch
from heads_train import train_network
from page import load_note, table, write_page
from safetensors import safe_open
from safetensors.torch import load_file
from scipy import ndimage

from cellproof.data.description import Description, read_description
from cellproof.data.index import Record, index
from cellproof.data.normalization import fit_channels, normalize
from cellproof.data.targets import heads_of
from cellproof.inference.activate import Maps
from cellproof.inference.predict import predict
from cellproof.instances import needs, with_option
from cellproof.instances.clean import clean_labels
from cellproof.instances.components import label_components
from cellproof.instances.decode import decode, foreground_mask
from cellproof.io import read_image, read_labels, write_model
from cellproof.metrics import objects
from cellproof.metrics.protocols import ObjectImage, count_objects
from cellproof.models import load as load_architecture
from cellproof.recipe.study import Recipe
from cellproof.recipe.toml import read_recipe
from cellproof.types import InstanceOptions, ModelHeader, Setting, TrainingRecord
from cellproof.workflows.predict.load import Model, find_model, load_model

FOREGROUND = (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
AREAS = (5, 10, 20, 30, 50, 80)

_OUTPUTS_BESIDES = {
    "watershed of height and boundary": {"boundary"},
    "components of the interior, grown back": {"boundary"},
}
"""What decoders use besides that which they cannot do without."""


@dataclass(frozen=True)
class Decoder:
    """A way from maps to labels, and the thresholds that it has.

    Attributes:
        name: For the table.
        run: Maps and options → labels.
        start: Options to begin the search with.
        grids: Values of each option to try.
    """

    name: str
    run: Callable[[Maps, InstanceOptions], np.ndarray]
    start: InstanceOptions
    grids: Mapping[str, Sequence[Setting]]


@dataclass
class Picture:
    """A validation image: its maps, its reference, and what decoders made of it so far."""

    name: str
    group: str
    maps: Maps
    reference: np.ndarray
    ignored: np.ndarray | None
    counted: dict[tuple[str, bytes], ObjectImage] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def count(self, decoder: Decoder, options: InstanceOptions) -> ObjectImage:
        """Counts of the decoder's labels with these options, computed once."""
        key = (decoder.name, msgspec.json.encode(options))
        if key not in self.counted:
            start = time.perf_counter()
            labels = decoder.run(self.maps, options)
            self.seconds.setdefault(decoder.name, []).append(time.perf_counter() - start)
            self.counted[key] = count_objects(labels, self.reference, ignored=self.ignored)
        return self.counted[key]


def main() -> None:
    """Predict once, decode in every way, write the page."""
    arguments = _arguments()
    description = read_description(arguments.data)
    assert description is not None
    assert description.masks == "instances"
    if arguments.train:
        train_network(
            arguments.data,
            arguments.run,
            by=arguments.by,
            only=arguments.only,
            minutes=arguments.train,
            seed=arguments.seed,
        )
    with tempfile.TemporaryDirectory() as folder:
        model = load_model(_model_file(arguments.run, Path(folder), description))
    records = _choose(index(arguments.data, description), arguments)
    torch.set_num_threads(arguments.threads)
    pictures = [_predict(model, record, description, by=arguments.by) for record in records]
    decoders, left_out = _decoders(model.header.instance, set(model.header.heads.names))
    tuned = {decoder.name: _search(decoder, pictures) for decoder in decoders}
    body = [
        f"Network of {arguments.run.name}, {model.header.training.steps} steps; {arguments.split} of "
        f"{description.name}, {len(pictures)} images, {sum(_objects(p, decoders[0]) for p in pictures)} objects. "
        "AP = TP/(TP + FP + FN), counts pooled over the images of a group; mean over IoU 0.5 … 0.95.",
        *left_out,
        "",
        "## Thresholds chosen on these images",
        _score_table(decoders, pictures, lambda decoder, place: tuned[decoder.name]),
        "",
        "## Cross-fitted: thresholds chosen on the other half",
        _score_table(decoders, pictures, _cross_fitted(decoders, pictures)),
        "",
        "## The model's own thresholds",
        _score_table(decoders, pictures, lambda decoder, place: decoder.start),
        "",
        "## Thresholds and speed",
        _options_table(decoders, pictures, tuned),
        "",
        load_note(),
    ]
    write_page(arguments.page, "Decoders on the same network", "\n".join(body), seed=arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of annotated objects, e.g. …/dsb2018")
    parser.add_argument("--run", type=Path, required=True, help="model file, or folder of a training, finished or not")
    parser.add_argument("--split", default="val", help="split to score on (default: val)")
    parser.add_argument("--by", default="modality", help="column of the data's table to group by (default: modality)")
    parser.add_argument("--only", default="", help="keep to images with this value in that column")
    parser.add_argument("--train", type=float, metavar="MINUTES", help="train the network first, where RUN holds none")
    parser.add_argument("--page", default="heads", help="name of the page (default: heads)")
    parser.add_argument("--threads", type=int, default=2, help="of the networks (default: 2)")
    parser.add_argument("--images", type=int, help="score only this many, drawn evenly from the groups")
    parser.add_argument("--seed", type=int, default=0, help="of that draw")
    return parser.parse_args()


def _model_file(run: Path, folder: Path, description: Description) -> Path:
    """The model asked for; of an unfinished training one with the averaged weights of its checkpoint."""
    if run.is_file() or (run / "model.safetensors").is_file():
        return find_model(run)
    recipe = read_recipe(str(run / "recipe.toml"))
    tensors = load_file(run / "checkpoint-1.safetensors")
    average = {name: tensor for name, tensor in tensors.items() if name.startswith("average.")}
    path = folder / "model.safetensors"
    write_model(
        path,
        msgspec.structs.replace(_header(recipe, description), training=TrainingRecord(steps=_steps(run))),
        {f"member0.{name.removeprefix('average.')}": tensor.numpy() for name, tensor in average.items()},
    )
    return path


def _steps(run: Path) -> int:
    with safe_open(run / "checkpoint-1.safetensors", framework="numpy") as file:
        return int(json.loads((file.metadata() or {})["counters"])["step"])


def _header(recipe: Recipe, description: Description) -> ModelHeader:
    heads = heads_of(len(description.classes) + 1, [head.name for head in recipe.heads])
    module = load_architecture(
        recipe.model.architecture,
        in_channels=recipe.data.in_channels,
        out_channels=heads.channels,
        **recipe.model.options,
    )
    return ModelHeader(
        name=recipe.name,
        architecture=recipe.model.architecture,
        options=dict(recipe.model.options),
        heads=heads,
        classes=("background", *description.classes),
        in_channels=recipe.data.in_channels,
        stride_px=int(module.stride),
        receptive_field_px=int(module.receptive_field_px),
        normalization=recipe.data.normalization,
        instance=recipe.instance,
    )


def _choose(records: Sequence[Record], arguments: argparse.Namespace) -> list[Record]:
    """Records of the split; where only some are expected, taken in turns from the groups in a drawn order."""
    there = [record for record in records if record.split == arguments.split]
    if arguments.only:
        there = [record for record in there if record.attributes.get(arguments.by) == arguments.only]
    if arguments.images is None or arguments.images >= len(there):
        return there
    order = np.random.default_rng(arguments.seed).permutation(len(there))
    groups: dict[str, list[Record]] = {}
    for place in order:
        groups.setdefault(there[place].attributes.get(arguments.by, ""), []).append(there[place])
    turns = sorted((place / len(group), name, place) for name, group in groups.items() for place in range(len(group)))
    return [groups[name][place] for _, name, place in turns[: arguments.images]]


def _predict(model: Model, record: Record, description: Description, *, by: str) -> Picture:
    header = model.header
    pixels = read_image(record.image).pixels[0]
    reference = read_labels(record.mask)
    maps = predict(
        model.engines,
        fit_channels(normalize(pixels, header.normalization), header.in_channels),
        heads=header.heads,
        stride_px=header.stride_px,
        halo_px=header.receptive_field_px,
        temperature=header.temperature,
    )
    ignored = None if description.ignore is None else reference == description.ignore
    return Picture(record.name, record.attributes.get(by, ""), maps, reference, ignored)


def _decoders(options: InstanceOptions, outputs: set[str]) -> tuple[list[Decoder], list[str]]:
    """Those whose outputs the network has, and lines for the page on those that need others."""
    common: dict[str, Sequence[Setting]] = {"foreground_threshold": FOREGROUND, "smallest_area_px": AREAS}
    stars = {"score_threshold": (0.3, 0.4, 0.5, 0.6, 0.7), "overlap_threshold": (0.2, 0.3, 0.4, 0.5)}
    decoders = [
        Decoder(
            "watershed of height and boundary",
            _decode,
            msgspec.structs.replace(options, method="watershed"),
            {"seed_threshold": (0.02, 0.04, 0.07, 0.1, 0.15, 0.2), "boundary_weight": (0.0, 0.25, 0.5, 1.0), **common},
        ),
        Decoder("flows to their sinks", _decode, msgspec.structs.replace(options, method="flows"), common),
        Decoder(
            "components of the interior, grown back",
            _interior_components,
            msgspec.structs.replace(options, method="components"),
            # The weight of the boundary decides from which boundary probability on a pixel is none of the interior.
            {"boundary_weight": (0.3, 0.5, 0.7, 1.0, 1.5), **common},
        ),
        Decoder("components of the foreground", _decode, msgspec.structs.replace(options, method="components"), common),
    ]
    for edges in ("polygon", "foreground"):
        start = msgspec.structs.replace(options, method="star_convex", options={"edges": edges})
        grids = {**stars, "smallest_area_px": AREAS} if edges == "polygon" else {**stars, **common}
        decoders.append(Decoder(f"star-convex polygons, edges of the {edges}", _decode, start, grids))
    missing = {
        one.name: sorted((set(needs(one.start.method)) | _OUTPUTS_BESIDES.get(one.name, set())) - outputs)
        for one in decoders
    }
    left_out = [f"{name} (needs {' and '.join(heads)})" for name, heads in missing.items() if heads]
    line = (
        f"Left out, for beside classes the network gives {' and '.join(sorted(outputs))} alone: {'; '.join(left_out)}."
    )
    return [one for one in decoders if not missing[one.name]], ["", line] if left_out else []


def _decode(maps: Maps, options: InstanceOptions) -> np.ndarray:
    return decode(maps.probabilities, maps.fields, options=options)


def _interior_components(maps: Maps, options: InstanceOptions) -> np.ndarray:
    """Connected pieces of foreground - weight x boundary ≥ threshold; other foreground joins the nearest piece."""
    foreground = foreground_mask(maps.probabilities, threshold=options.foreground_threshold)
    interior = (
        1 - maps.probabilities[0] - options.boundary_weight * maps.fields["boundary"][0] >= options.foreground_threshold
    )
    seeds = clean_labels(label_components(foreground & interior), smallest_area_px=3, fill_holes=False)
    if not seeds.any():
        return seeds
    nearest = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    labels = np.where(foreground, seeds[tuple(nearest)], 0)
    return clean_labels(labels, smallest_area_px=options.smallest_area_px, fill_holes=options.fill_holes)


def _search(decoder: Decoder, pictures: Sequence[Picture]) -> InstanceOptions:
    """Options of the best pooled mean AP, one option after the other, twice."""
    options = decoder.start
    for _ in range(2):
        for name, values in decoder.grids.items():
            candidates = [with_option(options, name, value) for value in values]
            scores = [_scores([picture.count(decoder, c) for picture in pictures])["mean"] for c in candidates]
            options = candidates[int(np.nanargmax(scores))]
    return options


def _cross_fitted(
    decoders: Sequence[Decoder], pictures: Sequence[Picture]
) -> Callable[[Decoder, int], InstanceOptions]:
    """Options for each image, chosen without its half; halves take turns within a group."""
    order = sorted(range(len(pictures)), key=lambda place: pictures[place].group)
    half = {place: turn % 2 for turn, place in enumerate(order)}
    chosen = {
        (decoder.name, side): _search(decoder, [p for place, p in enumerate(pictures) if half[place] != side])
        for decoder in decoders
        for side in (0, 1)
    }
    return lambda decoder, place: chosen[decoder.name, half[place]]


def _scores(counts: Sequence[ObjectImage]) -> dict[str, float]:
    pooled = [
        objects.average_precision(sum((c.matches[place] for c in counts[1:]), start=counts[0].matches[place]))
        for place in range(len(objects.THRESHOLDS))
    ]
    return {"0.5": pooled[0], "0.75": pooled[5], "0.9": pooled[8], "mean": float(np.mean(pooled))}


def _score_table(
    decoders: Sequence[Decoder],
    pictures: Sequence[Picture],
    options: Callable[[Decoder, int], InstanceOptions],
) -> str:
    rows: list[list[object]] = []
    groups = sorted({picture.group for picture in pictures})
    for decoder in decoders:
        counts = [picture.count(decoder, options(decoder, place)) for place, picture in enumerate(pictures)]
        for group in ["all", *groups] if len(groups) > 1 else groups:
            part = [c for c, p in zip(counts, pictures, strict=True) if group in ("all", p.group)]
            mistakes = sum((c.mistakes for c in part[1:]), start=part[0].mistakes)
            errors = f"{mistakes.merges} / {mistakes.splits} / {mistakes.misses} / {mistakes.false}"
            rows.append([decoder.name, group, len(part), *_scores(part).values(), errors])
    scores = ["AP@0.5", "AP@0.75", "AP@0.9", "mean AP"]
    return table(["decoder", "group", "images", *scores, "merges / splits / misses / false"], rows)


def _options_table(
    decoders: Sequence[Decoder], pictures: Sequence[Picture], tuned: Mapping[str, InstanceOptions]
) -> str:
    megapixels = sum(picture.reference.size for picture in pictures) / 1e6
    rows: list[list[object]] = []
    for decoder in decoders:
        seconds = sum(float(np.median(picture.seconds[decoder.name])) for picture in pictures)
        found = tuned[decoder.name]
        chosen = {**msgspec.structs.asdict(found), **found.options}
        words = ", ".join(f"{name} {chosen[name]:g}" for name in decoder.grids)
        rows.append([decoder.name, seconds / megapixels, words])
    return table(["decoder", "s per Mpixel (one thread)", "chosen on these images"], rows)


def _objects(picture: Picture, decoder: Decoder) -> int:
    return picture.count(decoder, decoder.start).n_objects


if __name__ == "__main__":
    main()
