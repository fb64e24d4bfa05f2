"""Patches for `train_default_gpu.py`: made by worker processes, without an end.

Real images are drawn with balance over their kinds; a fraction of the patches is simulated. Stained sections, real and
simulated, often take other dyes before they are normalized, since that is the order in which it happens in the world.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from cellproof.augment.compose import Augmentation
from cellproof.augment.stain import Restain
from cellproof.data.description import Description
from cellproof.data.index import Record, attribute
from cellproof.data.normalization import fit_channels, normalize
from cellproof.data.samples import fix_mask, make_sample
from cellproof.data.targets import make_targets
from cellproof.io import read_image, read_labels
from cellproof.recipe import Recipe
from cellproof.simulate.histology import simulate_histology
from cellproof.simulate.nuclei import BLURRED, DIM, SHARP, simulate_nuclei
from cellproof.types import Heads, Sample
from cellproof.workflows.train.augment import augmentation
from cellproof.workflows.train.batches import draw_weights
from cellproof.workflows.train.build import heads_of

SIMULATED = 0.12
"""Fraction of the patches that are simulated, half fluorescence, half stained sections."""

RESTAINED = 0.6
"""Fraction of the patches of stained sections that show other dyes."""

SIMULATED_PX = 320
NUCLEUS_PX = (7.0, 70.0)
"""Median diameters between which an image's magnification is drawn."""

MOST_KEPT = 48
"""Simulated images that a worker keeps and draws from."""

Draw = Callable[[Sample, np.random.Generator], Sample]


@dataclass(frozen=True, eq=False)
class Source:
    """One annotated image, raw, and how patches of it are drawn."""

    raw: np.ndarray
    mask: np.ndarray
    sample: Sample
    free: Augmentation
    exact: Augmentation

    @property
    def is_section(self) -> bool:
        """Whether it can take other dyes: color of 8 bits."""
        return len(self.raw) == 3 and self.raw.dtype == np.uint8


@dataclass
class Patches(IterableDataset[tuple[torch.Tensor, ...]]):
    """Endless batches (images float16, class map, fields float16); each worker draws its own."""

    sources: list[Source]
    weights: np.ndarray
    recipe: Recipe
    description: Description
    heads: Heads
    seed: int
    simulated: list[Source] = field(default_factory=list)
    restained: dict[int, Sample] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        info = get_worker_info()
        rng = np.random.default_rng([self.seed, 0 if info is None else info.id])
        torch.set_num_threads(1)
        while True:
            patches = [self._patch(rng) for _ in range(self.recipe.training.batch)]
            targets = [make_targets(patch, self.heads) for patch in patches]
            images = np.stack([fit_channels(patch.image, 3) for patch in patches])
            yield tuple(
                torch.from_numpy(array)
                for array in (
                    images.astype(np.float16),
                    np.stack([target.class_map for target in targets]),
                    np.stack([target.fields for target in targets]).astype(np.float16),
                )
            )

    def _patch(self, rng: np.random.Generator) -> Sample:
        if rng.random() < SIMULATED:
            source, key = self._simulated(rng), -1
        else:
            key = int(rng.choice(len(self.weights), p=self.weights))
            source = self.sources[key]
        sample = source.sample
        if source.is_section and rng.random() < RESTAINED:
            sample = self._restained(source, key, rng)
        drawn = source.exact if rng.random() < self.recipe.augment.exact else source.free
        return drawn(sample, rng)

    def _simulated(self, rng: np.random.Generator) -> Source:
        """A simulated image: a new one, or one that was drawn before."""
        if len(self.simulated) < 4 or rng.random() < 0.15:
            pixels, labels = _simulate(rng)
            source = make_source(pixels, labels, self.recipe, self.description)
            if len(self.simulated) < MOST_KEPT:
                self.simulated.append(source)
            else:
                self.simulated[int(rng.integers(MOST_KEPT))] = source
        return self.simulated[int(rng.integers(len(self.simulated)))]

    def _restained(self, source: Source, key: int, rng: np.random.Generator) -> Sample:
        """The image with other dyes, drawn anew every fourth time."""
        if key not in self.restained or key < 0 or rng.random() < 0.25:
            step = Restain()
            changed = step.apply(source.raw, source.mask, step.draw(rng, source.mask))
            image = normalize(changed, self.recipe.data.normalization)
            self.restained[key] = make_sample(image, source.mask, self.description)
        return self.restained[key]


def load_sources(records: list[Record], description: Description, recipe: Recipe) -> list[Source]:
    """All training images in memory."""
    sources = []
    for record in records:
        mask, _ = fix_mask(read_labels(record.mask), description)
        sources.append(make_source(read_image(record.image).pixels[0], mask, recipe, description))
    return sources


def make_source(pixels: np.ndarray, mask: np.ndarray, recipe: Recipe, description: Description) -> Source:
    """Normalize an image (C, H, W) and choose its magnifications by its own nuclei."""
    sample = make_sample(normalize(pixels, recipe.data.normalization), mask, description)
    assert sample.instances is not None
    areas = np.bincount(sample.instances.ravel())[1:]
    median = math.sqrt(4 * np.median(areas[areas > 0]) / math.pi) if areas.any() else 20.0
    low, high = recipe.augment.scale
    smallest = min(0.8, max(low, NUCLEUS_PX[0] / median))
    largest = max(1.25, min(high, NUCLEUS_PX[1] / median))
    config = msgspec.structs.replace(recipe.augment, scale=(smallest, largest))
    free, exact = (
        augmentation(config, patch_px=recipe.training.patch_px, channels=len(pixels), exact=exact)
        for exact in (False, True)
    )
    return Source(pixels, sample.instances, sample, free, exact)


def loader(
    records: list[Record], description: Description, recipe: Recipe, *, seed: int, workers: int
) -> DataLoader[tuple[torch.Tensor, ...]]:
    """Batches from so many processes."""
    sources = load_sources(records, description, recipe)
    areas = [source.mask.size for source in sources]
    objects = [int(source.mask.max()) for source in sources]
    weights = draw_weights(records, areas, objects, recipe.data)
    kinds = sorted({attribute(record, recipe.data.balance) for record in records})
    for kind in kinds:
        fraction = sum(w for w, r in zip(weights, records, strict=True) if attribute(r, recipe.data.balance) == kind)
        print(f"{kind}: {fraction:.3f} of the real patches", flush=True)
    patches = Patches(sources, weights, recipe, description, heads_of(recipe, description), seed)
    return DataLoader(
        patches,
        batch_size=None,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=3 if workers else None,
        multiprocessing_context="fork" if workers else None,
    )


def _simulate(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (C, H, W) and labels of a field of nuclei of one drawn size and crowding."""
    diameter = math.exp(rng.uniform(math.log(7), math.log(40)))
    across = (max(4.0, 0.75 * diameter), 1.35 * diameter)
    shape = (SIMULATED_PX, SIMULATED_PX)
    count = min(300, round(rng.uniform(0.05, 0.5) * SIMULATED_PX**2 / (math.pi / 4 * diameter**2)))
    clumping = float(rng.uniform(0, 0.8))
    if rng.random() < 0.5:
        field_ = simulate_histology(
            rng=rng, shape=shape, count=count, diameter_px=across, clumping=clumping,
            gap_share=float(rng.uniform(0, 0.3)), stain_variation=0.1,
        )  # fmt: skip
        return np.ascontiguousarray(field_.image.transpose(2, 0, 1)), field_.labels
    microscope = (SHARP, DIM, BLURRED)[int(rng.integers(3))]
    field_ = simulate_nuclei(
        rng=rng, shape=shape, count=count, diameter_px=across, clumping=clumping, microscope=microscope
    )
    return field_.image[None], field_.labels
