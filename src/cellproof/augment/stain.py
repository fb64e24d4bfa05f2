"""Stained sections as other dyes would show them: the light that passes is taken apart and put together anew.

A section absorbs light by Beer and Lambert's law, so in optical density dyes add up. An image is divided into the
amounts of two dyes and a rest; the dyes' colors and strengths are then changed. Some nuclei may take another dye, as a
section stained with hematoxylin and DAB shows brown nuclei among blue ones, and so may the cytoplasm of some regions,
as where DAB marks keratin: pale blue nuclei in brown. `Restain` works on raw intensities: it
has to come before normalization, which a stretch of each channel makes no longer light. `StainJitter` is its gentle
sibling for patches that are normalized already.

References:
    Ruifrok, Johnston (2001). Quantification of histochemical staining by color deconvolution. Analytical and
    Quantitative Cytology and Histology 23(4), 291-299 (the dyes' optical densities).
    Tellez et al. (2018). Whole-slide mitosis detection in H&E breast histology using PHH3 as a reference to train
    distilled stain-invariant convolutional networks. IEEE TMI 37(9), 2126-2136. doi:10.1109/TMI.2018.2820199
    (augmentation of the dyes' amounts).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy import ndimage

from ..checks import InputError, check_labels, check_same_shape
from ..types import Sample

HEMATOXYLIN = np.array([0.650, 0.704, 0.286], np.float32)
EOSIN = np.array([0.072, 0.990, 0.105], np.float32)
DAB = np.array([0.268, 0.570, 0.776], np.float32)

_REGIONS = 5
"""Regions along each side of an image that may differ in what is brown."""

_LEAST_KNOWN = 1e-3
"""Fraction of pixels beside nuclei below which nothing is known of the cytoplasm."""

_DARKEST = np.float32(1 / 256)
"""Light below which a normalized image is taken as black."""


@dataclass(frozen=True)
class StainParams:
    """What is changed.

    Attributes:
        dyes: (3, 3) optical densities in red, green, blue of what replaces hematoxylin, eosin, and of the dye of
            marked nuclei; rows of unit length.
        gains: (3,) factors of the amounts: hematoxylin, eosin, hematoxylin of marked nuclei.
        rest: Factor of what two dyes do not explain.
        marked: Object ids of the nuclei that take the third dye.
        around: Amount of the third dye outside of nuclei for an optical density of 1 that was there.
        inside: The same on nuclei; a section is thicker than a nucleus is.
        regions: (R, S) where the third dye is around nuclei, 0 nowhere to 1 wholly, spread over the image.
    """

    dyes: np.ndarray
    gains: tuple[float, float, float]
    rest: float = 1.0
    marked: tuple[int, ...] = ()
    around: float = 0.0
    inside: float = 0.0
    regions: np.ndarray = field(default_factory=lambda: np.ones((1, 1), np.float32))


@dataclass(frozen=True)
class Restain:
    """Draw other dyes for a section; see the module.

    Attributes:
        variation: Standard deviation of each component of a dye's color, 0.1 a visible difference between laboratories.
        strength: Standard deviation of the logarithm of the amounts' gains.
        dab: Probability of a section with DAB in place of eosin, with a drawn fraction of the nuclei marked.
        cytoplasm: Probability that a section with DAB has it around nuclei, too, in a part of the regions.
        foreign: Probability of two dyes of any color.
    """

    variation: float = 0.07
    strength: float = 0.25
    dab: float = 0.5
    cytoplasm: float = 0.5
    foreign: float = 0.15

    def draw(self, rng: np.random.Generator, instances: np.ndarray) -> StainParams:
        """Draw dyes, gains and the marked nuclei.

        Args:
            rng: Source of chance.
            instances: (H, W) object ids of the nuclei, 0 elsewhere.
        """
        dyes = _unit(np.stack([HEMATOXYLIN, EOSIN, DAB]) + self.variation * rng.standard_normal((3, 3)))
        gains = np.exp(self.strength * rng.standard_normal(3))
        rest = float(rng.uniform(0.5, 1.0))
        kind = rng.random()
        marked: tuple[int, ...] = ()
        if kind < self.dab:
            ids = np.unique(instances[instances > 0])
            marked = tuple(ids[rng.random(len(ids)) < rng.random()].tolist())
            # Either the background hardly takes up dye, or the cytoplasm takes DAB, too.
            dyes[1] = dyes[2] if rng.random() < 0.4 else dyes[0]
            gains[1] *= rng.uniform(0.1, 0.8)
            gains[2] *= rng.uniform(0.8, 1.6)
            if rng.random() < self.cytoplasm:
                # Counterstains are pale beside it.
                gains[0] *= rng.uniform(0.4, 1.0)
                around = float(np.exp(rng.uniform(np.log(0.5), np.log(4.0))))
                inside = around * float(rng.uniform(0.05, 0.5))
                steep = rng.uniform(-2, 4) + 8 * (rng.random((_REGIONS, _REGIONS)) - 0.5)
                regions = (1 / (1 + np.exp(-steep))).astype(np.float32)
                return StainParams(dyes, _three(gains), rest, marked, around, inside, regions)
        elif kind < self.dab + self.foreign:
            dyes = _unit(rng.uniform(0.0, 1.0, (3, 3)))
        return StainParams(dyes, _three(gains), rest, marked)

    def apply(self, rgb: np.ndarray, instances: np.ndarray, params: StainParams) -> np.ndarray:
        """The section with the drawn dyes.

        Args:
            rgb: (3, H, W) uint8, bright where light passes.
            instances: (H, W) object ids of the nuclei.
            params: From `draw`.

        Returns:
            (3, H, W) uint8.

        Raises:
            InputError: Not three channels of 8 bits, or shapes differ.

        Examples:
            >>> white = np.full((3, 4, 4), 255, np.uint8)
            >>> nothing = np.zeros((4, 4), np.int32)
            >>> step = Restain()
            >>> int(step.apply(white, nothing, step.draw(np.random.default_rng(0), nothing)).min())
            255
        """
        if rgb.ndim != 3 or len(rgb) != 3 or rgb.dtype != np.uint8:
            raise InputError(f"rgb has shape {rgb.shape} of {rgb.dtype}, expected (3, H, W) of uint8")
        check_labels(instances=instances)
        check_same_shape(image=rgb[0], instances=instances)
        density = optical_density(rgb)
        amounts, rest = separate(density, np.stack([HEMATOXYLIN, EOSIN]))
        share = np.zeros(instances.shape, np.float32)
        if params.marked:
            share = np.isin(instances, params.marked).astype(np.float32)
            # A dye has no pixel-sharp edge.
            share = ndimage.gaussian_filter(share, 0.7)
        layers = np.stack([amounts[0] * (1 - share), amounts[1], amounts[0] * share])
        layers *= np.asarray(params.gains, np.float32)[:, None, None]
        if params.around or params.inside:
            layers[2] += _brown(density, instances, params)
        changed = np.tensordot(params.dyes.astype(np.float32).T, layers, axes=1) + np.float32(params.rest) * rest
        light = 256 * np.exp(-np.log(np.float32(10)) * np.maximum(changed, 0)) - 1
        return np.asarray(np.rint(np.clip(light, 0, 255)), np.uint8)


@dataclass(frozen=True)
class StainJitter:
    """More or less of hematoxylin and eosin in patches that are normalized already, an intensity step.

    Normalized intensities of a bright-field image are its light up to a stretch, so the amounts of the dyes are
    changed approximately. What bright pixels show beyond 1 stays as it is.

    Attributes:
        p: Probability.
        strength: Standard deviation of the logarithm of each dye's gain.
    """

    p: float = 0.5
    strength: float = 0.2

    def draw(self, rng: np.random.Generator, sample: Sample) -> tuple[float, float]:
        """Draw the gains of hematoxylin and eosin."""
        first, second = np.exp(self.strength * rng.standard_normal(2)).tolist()
        return first, second

    def apply(self, sample: Sample, gains: tuple[float, float]) -> Sample:
        """The patch with other amounts of the dyes.

        Raises:
            InputError: It has other channels than three.
        """
        if len(sample.image) != 3:
            raise InputError(f"an image of {len(sample.image)} channels has no two dyes; leave out the stain step")
        light = np.clip(sample.image, _DARKEST, 1)
        dyes = np.stack([HEMATOXYLIN, EOSIN])
        amounts, rest = separate(-np.log10(light), _unit(dyes))
        density = np.tensordot(_unit(dyes).T, amounts * np.asarray(gains, np.float32)[:, None, None], axes=1) + rest
        changed = np.power(np.float32(10), -np.maximum(density, 0)) + (sample.image - light)
        return replace(sample, image=changed.astype(np.float32))


def _brown(density: np.ndarray, instances: np.ndarray, params: StainParams) -> np.ndarray:
    """(H, W) amount of the third dye in and around nuclei, in proportion to the tissue that is there."""
    tissue = ndimage.gaussian_filter(density.mean(axis=0), 1.0)
    nuclei = ndimage.gaussian_filter((instances > 0).astype(np.float32), 1.0)
    # What stained a nucleus is no measure of the cytoplasm above and below it: that of its surroundings is.
    known = ndimage.gaussian_filter(1 - nuclei, 8.0)
    beside = ndimage.gaussian_filter(tissue * (1 - nuclei), 8.0) / np.maximum(known, _LEAST_KNOWN)
    rows, columns = params.regions.shape
    places = np.meshgrid(
        np.linspace(0, rows - 1, instances.shape[0]), np.linspace(0, columns - 1, instances.shape[1]), indexing="ij"
    )
    region = ndimage.map_coordinates(params.regions, places, order=1)
    amounts: np.ndarray = region * (params.around * (1 - nuclei) * tissue + params.inside * nuclei * beside)
    return amounts.astype(np.float32)


def optical_density(rgb: np.ndarray) -> np.ndarray:
    """(3, H, W) float32, 0 where all light passes, 2.41 where none does, of (3, H, W) uint8."""
    table = -np.log10((np.arange(256, dtype=np.float32) + 1) / 256)
    density: np.ndarray = table[rgb]
    return density


def separate(density: np.ndarray, dyes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Amounts of dyes that explain a density best, none below 0, and the rest.

    Args:
        density: (3, H, W).
        dyes: (D, 3) of unit length.

    Returns:
        (D, H, W) amounts, and (3, H, W) what is left; together they give the density again.
    """
    amounts = np.maximum(np.tensordot(np.linalg.pinv(dyes.T).astype(np.float32), density, axes=1), 0)
    return amounts, density - np.tensordot(dyes.T, amounts, axes=1)


def _three(gains: np.ndarray) -> tuple[float, float, float]:
    return float(gains[0]), float(gains[1]), float(gains[2])


def _unit(dyes: np.ndarray) -> np.ndarray:
    positive = np.clip(dyes, 0.02, None)
    unit: np.ndarray = (positive / np.linalg.norm(positive, axis=1, keepdims=True)).astype(np.float32)
    return unit
