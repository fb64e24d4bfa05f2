"""The one way to run networks on an image: channels, scale, windows, TTA views, members."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isqrt
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...checks import InputError, UsageError
from ...data.normalization import fit_channels, normalize, with_condition
from ...data.samples import rescale_image
from ...inference.activate import Maps
from ...inference.budget import window_pixels
from ...inference.engine import Engine
from ...inference.predict import DEFAULT_MAX_PIXELS, predict
from ...inference.tiles import smallest_window
from ...inference.tta import ONE_VIEW, View
from ...types import Heads, ModelHeader, Normalization, Sample, Unknown
from .detect import detect
from .ensemble import mean_of_parts
from .load import Model

if TYPE_CHECKING:
    from torch import nn

SCALES = (1 / 16, 8.0)
"""Smallest and largest scale that a diameter may lead to."""

LARGEST_WINDOW_BYTES = 4_000_000_000
"""Where no memory limit is given, a window grows up to this if the receptive field needs it."""


@dataclass(frozen=True)
class Windows:
    """How an image is cut for the networks.

    Attributes:
        max_pixels: Largest window.
        halo_px: Distance of a window's own part from its edges.
        blend: Whether windows fade into each other, because the halo is smaller than the receptive field.
    """

    max_pixels: int
    halo_px: int
    blend: bool = False


@dataclass(frozen=True)
class Predictor:
    """Networks with everything that decides how they see an image; segmenting, validating and studies use it alike.

    Attributes:
        engines: One per member; their activated maps are averaged.
        heads: Meaning of the output channels.
        in_channels: Channels of the image that the networks read.
        conditions: Values of an attribute that they may be told, each a constant channel after those.
        unknown: What these channels are where nothing is told.
        stride_px: Their input is padded to multiples of this.
        radius_px: Of the receptive field.
        normalization: How raw intensities become network input.
        scale: Pixels of the networks' grid per pixel of an image.
        fit_side_px: Images are scaled to this shorter side unless it differs more than fourfold; 0 for never.
        temperature: Class logits are divided by this before the softmax.
        parts: Of an ensemble of models that differ in more than their weights, each of them; the rest is the first's.
    """

    engines: Sequence[Engine]
    heads: Heads
    in_channels: int
    stride_px: int
    radius_px: int
    normalization: Normalization = field(default_factory=Normalization)
    scale: float = 1.0
    fit_side_px: int = 0
    temperature: float = 1.0
    conditions: tuple[str, ...] = ()
    unknown: Unknown = "zeros"
    parts: tuple[Predictor, ...] = ()

    @classmethod
    def of_model(cls, model: Model) -> Predictor:
        """Of a loaded model file."""
        header = model.header
        return cls(
            engines=model.engines,
            heads=header.heads,
            in_channels=header.in_channels - len(header.conditions),
            conditions=header.conditions,
            unknown=header.unknown,
            stride_px=header.stride_px,
            radius_px=header.receptive_field_px,
            normalization=header.normalization,
            scale=header.scale,
            fit_side_px=header.fit_side_px,
            temperature=header.temperature,
            parts=tuple(map(cls.of_model, model.parts)),
        )

    @classmethod
    def of_module(
        cls,
        module: nn.Module,
        *,
        heads: Heads,
        in_channels: int,
        precision: str = "auto",
        temperature: float = 1.0,
        conditions: tuple[str, ...] = (),
        unknown: Unknown = "zeros",
    ) -> Predictor:
        """Of a network in training, where it lies; samples are on its grid already, so the scale is 1.

        Args:
            module: Fulfills the contract of models.
            heads: Meaning of its output channels.
            in_channels: Channels of the image that it reads.
            precision: "f32", or "auto" for bf16 where the device has it natively; "bf16" likewise, for emulating it
                would only be slower.
            temperature: Of the softmax.
            conditions: Values that it may be told.
            unknown: What their channels are where nothing is told.
        """
        import torch

        from ...inference.torch_engine import torch_engines

        device = next(module.parameters(), torch.empty(0)).device.type
        asked = "f32" if precision == "f32" else "auto"
        return cls(
            engines=torch_engines([module], device=device, precision=asked),
            heads=heads,
            in_channels=in_channels,
            conditions=conditions,
            unknown=unknown,
            stride_px=int(module.stride),  # type: ignore[arg-type]  # part of the contract of models
            radius_px=int(module.receptive_field_px),  # type: ignore[arg-type]
            temperature=temperature,
        )

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """Normalized image (in_channels, H, W) float32 of raw pixels (C, H, W).

        Raises:
            InputError: NaN, no pixels, or channels that the networks do not read.
        """
        return fit_channels(normalize(pixels, self.normalization), self.in_channels)

    def predict_sample(self, sample: Sample, **options: Any) -> Maps:
        """Maps of a sample, which is on the networks' grid already; ``options`` are those of `predict`."""
        return self.predict(sample.image, scale=1.0, condition=sample.condition, **options)

    def first_scale(self, shape: Sequence[int]) -> float:
        """Scale at which an image of this height and width is predicted, before its objects are known."""
        side = min(shape)
        if self.fit_side_px and side / 4 <= self.fit_side_px <= 4 * side:
            return self.fit_side_px / side
        return self.scale

    @staticmethod
    def scale_for(diameter_px: float | Literal["auto"], header: ModelHeader) -> float:
        """Scale at which objects of a diameter have the median diameter of the training objects.

        Args:
            diameter_px: Of the objects in the image; "auto" is only checked, and has scale 1.
            header: Of the model.

        Raises:
            InputError: The model knows no size of objects, or the scale would be beyond `SCALES`.
        """
        known = header.statistics.object_diameter_px
        if not known:
            raise UsageError(
                f"a diameter was given, but model {header.name!r} knows no size of objects, for it gives classes to "
                "pixels; leave diameter_px out",
                argument="diameter_px",
            )
        if diameter_px == "auto":
            return 1.0
        least, most = (known[1] / scale for scale in reversed(SCALES))
        if not least <= diameter_px <= most:
            raise UsageError(
                f"diameter_px is {diameter_px:g}; expected {least:.2g} to {most:.3g}, the usual diameter in pixels",
                argument="diameter_px",
            )
        return known[1] / diameter_px

    def predict(
        self,
        image: np.ndarray,
        *,
        scale: float,
        views: Sequence[View] = ONE_VIEW,
        max_memory_bytes: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        each: Callable[[int, Maps], None] | None = None,
        condition: str = "",
    ) -> Maps:
        """Maps of a prepared image, on its own grid.

        Args:
            image: (C, H, W) from `prepare`, or a sample's.
            scale: The networks see the image at this scale; 1 for samples, which are on their grid already.
            views: Ways to lay the image, whose maps are averaged; a forward pass each.
            max_memory_bytes: For the whole process; None for windows of a size that is quick.
            progress: Called with (forward passes done, forward passes in all).
            each: Called with (number of the member, its maps on the image's grid) for every view in its turn.
            condition: What the networks are told of the image, one of `conditions`; "" for unknown.

        Raises:
            InputError: Memory too small for the image, or channels that the networks do not read.
        """
        shape = image.shape[1:]
        if self.parts:
            return mean_of_parts(
                self.parts,
                image,
                scales=[part.scale * scale / self.scale for part in self.parts],
                heads=self.heads,
                views=views,
                max_memory_bytes=max_memory_bytes,
                progress=progress,
                each=each,
                condition=condition,
            )
        scaled = image if scale == 1.0 else rescale_image(image, scaled_shape(shape, scale))
        windows = self.windows(scaled.shape[1:], channels=len(image), max_memory_bytes=max_memory_bytes)
        fitted = fit_channels(scaled, self.in_channels)
        seen = with_condition(fitted, self.conditions, condition, unknown=self.unknown)
        if self.heads.is_detector:
            return detect(
                self.engines,
                seen,
                shape=(shape[0], shape[1]),
                heads=self.heads,
                stride_px=self.stride_px,
                halo_px=windows.halo_px,
                temperature=self.temperature,
                views=views,
                max_pixels=windows.max_pixels,
                progress=progress,
                each=each,
            )
        maps = predict(
            self.engines,
            seen,
            heads=self.heads,
            stride_px=self.stride_px,
            halo_px=windows.halo_px,
            temperature=self.temperature,
            views=views,
            max_pixels=windows.max_pixels,
            blend=windows.blend,
            progress=progress,
            each=None if each is None else lambda member, one: each(member, rescale_maps(one, shape, heads=self.heads)),
        )
        return rescale_maps(maps, shape, heads=self.heads)

    def windows(self, shape: Sequence[int], *, channels: int, max_memory_bytes: int | None) -> Windows:
        """How an (H, W) image on the networks' grid is cut.

        Windows are as large as is quick. Where one with the whole receptive field around it needs more, it gets
        more as far as memory allows; beyond that windows have a quarter of their side as halo and are blended.

        Raises:
            InputError: The image and its maps alone take more than ``max_memory_bytes``.
        """
        rows, columns = shape
        per_pixel = self.engines[0].bytes_per_pixel
        if max_memory_bytes is None:
            allowed = max(DEFAULT_MAX_PIXELS, LARGEST_WINDOW_BYTES // per_pixel)
        else:
            allowed = window_pixels(
                max_memory_bytes, shape=(channels, rows, columns), heads=self.heads, bytes_per_pixel=per_pixel
            )
        quick = min(DEFAULT_MAX_PIXELS, allowed)
        needed = smallest_window((rows, columns), halo_px=self.radius_px, stride_px=self.stride_px)
        if needed <= allowed:
            return Windows(max(quick, needed), self.radius_px)
        side = isqrt(quick) // self.stride_px * self.stride_px
        halo = side // 4 // self.stride_px * self.stride_px
        return Windows(quick, halo, blend=True)

    @property
    def averages_views(self) -> bool:
        """Whether maps of several views are the mean of those of each; not where detections of all are merged."""
        return not self.heads.is_detector and all(part.averages_views for part in self.parts)

    def fits(self, shape: Sequence[int], *, scale: float, max_memory_bytes: int) -> bool:
        """Whether an image (C, H, W) and its maps at a scale fit into memory, with a window beside them."""
        if self.parts:
            scales = [part.scale * scale / self.scale for part in self.parts]
            return all(
                part.fits(shape, scale=own, max_memory_bytes=max_memory_bytes)
                for part, own in zip(self.parts, scales, strict=True)
            )
        try:
            self.windows(scaled_shape(shape[1:], scale), channels=shape[0], max_memory_bytes=max_memory_bytes)
        except InputError:
            return False
        return True

    def note(self, shape: Sequence[int], *, channels: int, max_memory_bytes: int | None) -> str:
        """What a person must know of how an (H, W) image is cut; empty where the result is that of the whole image."""
        if self.parts:
            notes = [part.note(shape, channels=channels, max_memory_bytes=max_memory_bytes) for part in self.parts]
            return next(filter(None, notes), "")
        scaled = scaled_shape(shape, self.first_scale(shape))
        windows = self.windows(scaled, channels=channels, max_memory_bytes=max_memory_bytes)
        if not windows.blend:
            return ""
        return (
            f"the network sees {self.radius_px} px around each pixel, more than a window of {windows.max_pixels} "
            f"pixels holds; windows with a halo of {windows.halo_px} px are blended, so results near their seams are "
            "approximate"
        )


def scaled_shape(shape: Sequence[int], scale: float) -> tuple[int, int]:
    """Height and width at a scale, at least one pixel each."""
    rows, columns = (max(1, round(length * scale)) for length in shape)
    return rows, columns


def rescale_maps(maps: Maps, shape: tuple[int, ...], *, heads: Heads) -> Maps:
    """Maps on the grid of the image; themselves where they are on it already.

    Lengths are given in pixels of the grid that they are on, so they grow with it; vectors keep their length.
    """
    rows, columns = shape
    before = maps.probabilities.shape[1:]
    if before == (rows, columns):
        return maps
    fields = {name: rescale_image(stack, (rows, columns)) for name, stack in maps.fields.items()}
    # Height and width are rounded apart, so their factors differ by less than a pixel's worth.
    factor = np.float32(np.sqrt(rows / before[0] * columns / before[1]))
    for head in heads.fields:
        if head.geometry in ("length", "rays"):
            stack = fields[head.name].copy()
            stack[head.probabilities :] *= factor
            fields[head.name] = stack
    return Maps(rescale_image(maps.probabilities, (rows, columns)), fields, maps.deep)
