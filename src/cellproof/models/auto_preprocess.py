"""Two networks end to end: the first learns filters that prepare the image, the second segments what they make of it.

The filters are the first network's maps, one per class, after a ReLU; its own logits are a 1 × 1 convolution of
them. Translated image c is sigmoid(image + filter c). The second network, one set of weights, segments every translated
image on its own; these outputs and the first network's, S = C + 1 in all, are weighed by a 1 × 1 × 1 convolution
over S.

References:
    Kato, Hotta (2021). Automatic preprocessing and ensemble learning for low quality cell image segmentation. SMC.
    arXiv 2108.13118 (Fig. 2, eq. 1)
"""

from __future__ import annotations

from math import lcm
from typing import Literal, get_args

import numpy as np
import torch
from torch import nn

from ..checks import InputError
from ._any_size import AnySize
from ._padding import pad_to_stride

Ensemble = Literal["none", "fixed", "automated"]


def build(
    *,
    in_channels: int,
    out_channels: int,
    first: str = "unet",
    second: str = "unet",
    first_options: str = "",
    second_options: str = "",
    ensemble: Ensemble = "automated",
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

    Raises:
        InputError: An unknown word, or options that an architecture does not take.

    Examples:
        >>> network = build(in_channels=1, out_channels=3, first_options="width=4", second_options="width=4").eval()
        >>> network(torch.zeros(1, 1, 40, 40)).shape
        torch.Size([1, 3, 40, 40])
        >>> len(network.train()(torch.zeros(1, 1, 40, 40)))
        5
    """
    if ensemble not in get_args(Ensemble):
        raise InputError(f"ensemble is {ensemble!r}, expected one of {', '.join(get_args(Ensemble))}")
    from . import load

    own = in_channels * (out_channels if ensemble == "none" else 1)
    maker = load(first, in_channels=in_channels, out_channels=out_channels, **_options(first_options))
    reader = load(second, in_channels=own, out_channels=out_channels, **_options(second_options))
    if not isinstance(maker, AnySize) or not isinstance(reader, AnySize):
        raise InputError(f"{first} and {second} cannot be joined; give architectures of the package")
    return AutoPreprocess(maker, reader, in_channels=in_channels, classes=out_channels, ensemble=ensemble)


class AutoPreprocess(AnySize):
    """The network; `build` describes its options."""

    def __init__(self, first: AnySize, second: AnySize, *, in_channels: int, classes: int, ensemble: Ensemble) -> None:
        super().__init__(
            in_channels,
            stride=lcm(first.stride, second.stride),
            receptive_field_px=first.receptive_field_px + second.receptive_field_px,
        )
        self.ensemble = ensemble
        self.first, self.second = first, second
        self.head = nn.Conv2d(classes, classes, 1)
        if ensemble != "none":
            # The weights of a 1 × 1 × 1 convolution over S, as a vector: five-dimensional weights cannot be
            # brought to channels-last memory, in which engines run.
            self.weigh = nn.Parameter(torch.ones(classes + 1), requires_grad=ensemble == "automated")

    def forward_aligned(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Logits of images whose height and width are multiples of ``stride``, without any check.

        In training mode: the output, then all outputs that it is made of, the first network's first.
        """
        filters = self._filters(image)
        own = self.head(filters)
        translated = self._translated(image, filters)
        batch, count = translated.shape[:2]
        if self.ensemble == "none":
            logits = _logits(self.second.forward_aligned(translated.flatten(1, 2)))
            return (logits, own) if self.training else logits
        each = _logits(self.second.forward_aligned(translated.flatten(0, 1))).unflatten(0, (batch, count))
        outputs = torch.cat([own.unsqueeze(1), each], dim=1)
        logits = (outputs * self.weigh.view(1, -1, 1, 1, 1)).sum(dim=1)
        return (logits, *outputs.unbind(1)) if self.training else logits

    @property
    def ensemble_weights(self) -> list[float]:
        """What the first network's output and those of the translated images weigh; empty without an ensemble."""
        return [] if self.ensemble == "none" else [float(weight) for weight in self.weigh]

    @torch.no_grad()
    def explain(self, image: torch.Tensor) -> dict[str, np.ndarray]:
        """Filters, at least 0, and translated images in (0, 1), mean over channels, class by class; (H, W) each.

        Args:
            image: (1, in_channels, H, W) of any size.
        """
        height, width = image.shape[-2:]
        padded = pad_to_stride(image, self.stride)
        filters = self._filters(padded)
        translated = self._translated(padded, filters).mean(dim=2)
        maps = {f"filter {c}": filters[0, c] for c in range(filters.shape[1])}
        maps |= {f"translated {c}": translated[0, c] for c in range(filters.shape[1])}
        return {name: map_[:height, :width].cpu().numpy() for name, map_ in maps.items()}

    def _filters(self, image: torch.Tensor) -> torch.Tensor:
        return torch.relu(_logits(self.first.forward_aligned(image)))

    def _translated(self, image: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
        """(N, classes, in_channels, H, W)."""
        return torch.sigmoid(image.unsqueeze(1) + filters.unsqueeze(2))


def _logits(outputs: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
    """The main output of a network that may have auxiliary ones in training mode."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


def _options(text: str) -> dict[str, int | float | bool | str]:
    """Options from ``key=value;key=value``.

    Raises:
        InputError: A part without ``=``.
    """
    options: dict[str, int | float | bool | str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        key, equals, value = part.partition("=")
        if not equals:
            raise InputError(f"option {part!r} has no value; expected key=value;key=value, e.g. width=32;depth=5")
        options[key.strip()] = _value(value.strip())
    return options


def _value(text: str) -> int | float | bool | str:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
