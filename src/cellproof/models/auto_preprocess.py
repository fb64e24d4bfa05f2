"""Two networks end to end: the first learns filters that prepare the image, the second segments what they make of it.

The filters are the first network's maps, one per class, after a ReLU; its own logits are a 1 × 1 convolution of
them. Translated image c is sigmoid(image + filter c). The second network, one set of weights, segments every translated
image on its own; these outputs and the first network's, S = C + 1 in all, are weighed by a 1 × 1 × 1 convolution
over S.

In the paper labels teach the filters. Two objectives do without: the filters predict pixels that the first network was
not shown, through a 1 × 1 convolution (denoising), or say the same of an image and of a changed copy of it
(clustering). No gradient of the segmentation then reaches the first network.

References:
    Kato, Hotta (2021). Automatic preprocessing and ensemble learning for low quality cell image segmentation. SMC.
    arXiv 2108.13118 (Fig. 2, eq. 1)
    Batson, Royer (2019). Noise2Self: blind denoising by self-supervision. ICML. arXiv 1901.11365 (eq. 3)
    Ji, Henriques, Vedaldi (2019). Invariant information clustering for unsupervised image classification and
    segmentation. ICCV. arXiv 1807.06653 (eqs 3, 5)
"""

from __future__ import annotations

from math import lcm
from typing import Literal, get_args

import numpy as np
import torch
from torch import nn

from ..checks import InputError
from ._any_size import AnySize
from ._joined import main_output, make_network
from ._padding import pad_to_stride

Ensemble = Literal["none", "fixed", "automated"]

Teacher = Literal["labels", "denoising", "clustering"]

GRID_PX = 4
"""Of so many rows and columns one pixel is hidden from the first network when it learns by denoising."""

_LARGEST_GAIN, _LARGEST_SHIFT, _NOISE = 0.3, 0.1, 0.05
"""How far the copy of an image is changed in clustering: a factor's logarithm, an offset, and noise's deviation."""


def build(
    *,
    in_channels: int,
    out_channels: int,
    first: str = "unet",
    second: str = "unet",
    first_options: str = "",
    second_options: str = "",
    ensemble: Ensemble = "automated",
    teacher: Teacher = "labels",
    filter_offset: float = 0.0,
    gain: float = 1.0,
    middle: float = 0.0,
) -> AutoPreprocess:
    """Make the two networks and what joins them.

    Args:
        in_channels: Channels of the image.
        out_channels: Classes, and so filters.
        first: Architecture that learns the filters.
        second: Architecture that segments the translated images.
        first_options: Its options besides the channels, as ``key=value;key=value``.
        second_options: Those of the second.
        ensemble: "automated": the S outputs are weighed by learned numbers, one each, that start at 1; "fixed": all
            weights stay 1; "none": the second network takes the translated images as channels and gives the output.
        teacher: What the filters are learned from: the "labels", or the images alone by "denoising" or "clustering".
            Without labels the last output in training mode is a pair of views, (2, N, K, h, w), for a loss term on
            "views": ``squared_error`` of predicted and hidden pixels, ``mutual_information`` of two copies' filters.
        filter_offset: Added to the first network's maps before the ReLU, so that filters begin above 0; the paper's
            is 0, with which a filter may die: 0 everywhere, where no gradient reaches it any more.
        gain: Translated images are sigmoid(gain × (image + filter − middle)); the paper's is 1 …
        middle: … and 0, which uses the upper half of the sigmoid only. In units of the image.

    Raises:
        InputError: An unknown word, or options that an architecture does not take.

    Examples:
        >>> network = build(in_channels=1, out_channels=3, first_options="width=4", second_options="width=4").eval()
        >>> network(torch.zeros(1, 1, 40, 40)).shape
        torch.Size([1, 3, 40, 40])
        >>> len(network.train()(torch.zeros(1, 1, 40, 40)))
        5
    """
    for what, word, known in (("ensemble", ensemble, get_args(Ensemble)), ("teacher", teacher, get_args(Teacher))):
        if word not in known:
            raise InputError(f"{what} is {word!r}, expected one of {', '.join(known)}")
    own = in_channels * (out_channels if ensemble == "none" else 1)
    return AutoPreprocess(
        make_network(first, first_options, in_channels=in_channels, out_channels=out_channels),
        make_network(second, second_options, in_channels=own, out_channels=out_channels),
        in_channels=in_channels,
        classes=out_channels,
        ensemble=ensemble,
        teacher=teacher,
        filter_offset=filter_offset,
        gain=gain,
        middle=middle,
    )


class AutoPreprocess(AnySize):
    """The network; `build` describes its options."""

    def __init__(
        self,
        first: AnySize,
        second: AnySize,
        *,
        in_channels: int,
        classes: int,
        ensemble: Ensemble,
        teacher: Teacher = "labels",
        filter_offset: float = 0.0,
        gain: float = 1.0,
        middle: float = 0.0,
    ) -> None:
        super().__init__(
            in_channels,
            stride=lcm(first.stride, second.stride),
            receptive_field_px=first.receptive_field_px + second.receptive_field_px,
        )
        self.ensemble, self.teacher = ensemble, teacher
        self.filter_offset, self.gain, self.middle = filter_offset, gain, middle
        self.first, self.second = first, second
        self.head = nn.Conv2d(classes, classes, 1)
        if ensemble != "none":
            # The weights of a 1 × 1 × 1 convolution over S, as a vector: five-dimensional weights cannot be
            # brought to channels-last memory, in which engines run.
            self.weigh = nn.Parameter(torch.ones(classes + 1), requires_grad=ensemble == "automated")
        if teacher == "denoising":
            self.restore = nn.Conv2d(classes, in_channels, 1)

    def forward_aligned(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Logits of images whose height and width are multiples of ``stride``, without any check.

        In training mode: the output, then all outputs that it is made of, the first network's first, and a pair of
        views where no labels teach the filters.
        """
        maps = self._maps(image)
        filters = torch.relu(maps if self.teacher == "labels" else maps.detach())
        outputs = self._outputs(image, filters)
        if not self.training:
            return outputs[0]
        return outputs if self.teacher == "labels" else (*outputs, self._views(image, maps))

    @property
    def gives_views(self) -> bool:
        """Whether the last output in training mode is a pair of views, on which a loss term has to look."""
        return self.teacher != "labels"

    @property
    def ensemble_weights(self) -> list[float]:
        """What the first network's output and those of the translated images weigh; empty without an ensemble."""
        return [] if self.ensemble == "none" else [float(weight) for weight in self.weigh.detach()]

    def watched(self) -> dict[str, float]:
        """Numbers to follow over the training: the ensemble's weights, where they are learned."""
        if self.ensemble != "automated":
            return {}
        names = ("first network", *(f"translated {c}" for c in range(self.head.out_channels)))
        return {f"weight of {name}": weight for name, weight in zip(names, self.ensemble_weights, strict=True)}

    @torch.no_grad()
    def explain(self, image: torch.Tensor) -> dict[str, np.ndarray]:
        """Filters, at least 0, and translated images in (0, 1), mean over channels, class by class; (H, W) each.

        Args:
            image: (1, in_channels, H, W) of any size.
        """
        height, width = image.shape[-2:]
        padded = pad_to_stride(image, self.stride)
        filters = torch.relu(self._maps(padded))
        translated = self._translated(padded, filters).mean(dim=2)
        maps = {f"filter {c}": filters[0, c] for c in range(filters.shape[1])}
        maps |= {f"translated {c}": translated[0, c] for c in range(filters.shape[1])}
        return {name: map_[:height, :width].cpu().numpy() for name, map_ in maps.items()}

    def _maps(self, image: torch.Tensor) -> torch.Tensor:
        """(N, classes, H, W), which a ReLU makes filters."""
        return main_output(self.first.forward_aligned(image)) + self.filter_offset

    def _outputs(self, image: torch.Tensor, filters: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits, and those that they are made of."""
        own = self.head(filters)
        translated = self._translated(image, filters)
        batch, count = translated.shape[:2]
        if self.ensemble == "none":
            return main_output(self.second.forward_aligned(translated.flatten(1, 2))), own
        each = main_output(self.second.forward_aligned(translated.flatten(0, 1))).unflatten(0, (batch, count))
        outputs = torch.cat([own.unsqueeze(1), each], dim=1)
        return (outputs * self.weigh.view(1, -1, 1, 1, 1)).sum(dim=1), *outputs.unbind(1)

    def _views(self, image: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        """(2, N, K, h, w): what should be alike."""
        if self.teacher == "clustering":
            changed = torch.flip(_changed(image), dims=(-1,))
            return torch.stack([maps, torch.flip(self._maps(changed), dims=(-1,))])
        row, column = (int(torch.randint(GRID_PX, ())) for _ in range(2))
        restored = self.restore(torch.relu(self._maps(_hidden(image, row, column))))
        return torch.stack([some[..., row::GRID_PX, column::GRID_PX] for some in (restored, image)])

    def _translated(self, image: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
        """(N, classes, in_channels, H, W)."""
        return torch.sigmoid(self.gain * (image.unsqueeze(1) + filters.unsqueeze(2) - self.middle))


def _changed(image: torch.Tensor) -> torch.Tensor:
    """A copy of each image, brighter or darker, and noisier."""
    gain, shift = (
        image.new_empty(len(image), 1, 1, 1).uniform_(-most, most) for most in (_LARGEST_GAIN, _LARGEST_SHIFT)
    )
    return image * gain.exp() + shift + _NOISE * torch.randn_like(image)


def _hidden(image: torch.Tensor, row: int, column: int) -> torch.Tensor:
    """The image with one pixel of each `GRID_PX` × `GRID_PX` replaced by the mean of its four neighbors."""
    # Reflected, for a replicated border would show the hidden pixel as its own neighbor.
    padded = nn.functional.pad(image, (1, 1, 1, 1), mode="reflect")
    around = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    hidden = image.clone()
    place = (..., slice(row, None, GRID_PX), slice(column, None, GRID_PX))
    hidden[place] = around[place] / 4
    return hidden
