"""Effective receptive field: how strongly each input pixel acts on one output pixel.

A pixel inside the theoretical receptive field may still have next to no influence, as few paths lead through it.

References:
    Luo, Li, Urtasun, Zemel (2016). Understanding the effective receptive field in deep convolutional neural networks.
    NeurIPS. arXiv:1701.04128
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from ..checks import InputError, check_finite, check_ndim


def effective_receptive_field(
    module: nn.Module,
    *,
    in_channels: int,
    size_px: tuple[int, int],
    position: tuple[int, int],
    rng: np.random.Generator,
    images: int = 20,
) -> np.ndarray:
    """Mean influence map over normally distributed random images.

    Args:
        module: A network (N, C, H, W) → (N, K, H, W); evaluated in evaluation mode, left as it was.
        in_channels: C.
        size_px: Height and width of the images.
        position: Row and column of the output pixel.
        rng: Source of the images.
        images: How many, at least 1.

    Returns:
        (H, W) float64, non-negative; see `influence_map`.
    """
    if images < 1:
        raise InputError(f"images is {images}, expected at least 1")
    total = np.zeros(size_px)
    for _ in range(images):
        total += influence_map(module, rng.standard_normal((in_channels, *size_px)), position=position)
    return total / images


def influence_map(module: nn.Module, image: np.ndarray, *, position: tuple[int, int]) -> np.ndarray:
    """Absolute gradient of one output pixel with respect to each input pixel.

    It is summed over the channels of the input and of the output, so that opposite classes do not cancel.

    Args:
        module: A network (N, C, H, W) → (N, K, H, W); evaluated in evaluation mode, left as it was.
        image: (C, H, W).
        position: Row and column of the output pixel.

    Returns:
        (H, W) float64, non-negative; zeros where the network does not look.

    Raises:
        InputError: the image has not three axes, is not finite, or the position lies outside it.
    """
    return _influences(module, image, position=position, layers=())[0]


def layer_influence(
    module: nn.Module, image: np.ndarray, *, position: tuple[int, int], layers: Sequence[str]
) -> dict[str, np.ndarray]:
    """Absolute gradient of one output pixel with respect to what layers give, each on the grid of its layer.

    Args:
        module: A network (N, C, H, W) → (N, K, H, W); evaluated in evaluation mode, left as it was.
        image: (C, H, W).
        position: Row and column of the output pixel.
        layers: Names of submodules whose output is one tensor (N, C', h, w), as `levels` finds them.

    Returns:
        Name → (h, w) float64, non-negative, summed over channels; zeros where the output pixel does not depend on it.

    Raises:
        InputError: As `influence_map`; or there is no such layer, or it takes no part.
    """
    return dict(zip(layers, _influences(module, image, position=position, layers=layers)[1:], strict=True))


def levels(module: nn.Module, image: np.ndarray) -> dict[str, tuple[int, int]]:
    """The last convolution of each stretch of convolutions of one size, in the order in which they run.

    Of a U-shaped network these are its levels, down and up again.

    Args:
        module: A network (N, C, H, W) → (N, K, H, W).
        image: (C, H, W).

    Returns:
        Name → height and width of what it gives.

    Examples:
        >>> steps = [nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 2, stride=2)]
        >>> levels(nn.Sequential(*steps), np.zeros((1, 8, 8)))
        {'1': (8, 8), '2': (4, 4)}
    """
    ran: list[tuple[str, tuple[int, int]]] = []

    def note(name: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
        return lambda _, __, output: ran.append((name, (int(output.shape[-2]), int(output.shape[-1]))))

    kinds = nn.Conv2d | nn.ConvTranspose2d
    hooks = [one.register_forward_hook(note(name)) for name, one in module.named_modules() if isinstance(one, kinds)]
    try:
        with torch.no_grad(), _evaluating(module):
            module(_pixels(module, image))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: size for (name, size), after in zip(ran, [*ran[1:], ("", (0, 0))], strict=True) if size != after[1]}


def _influences(
    module: nn.Module, image: np.ndarray, *, position: tuple[int, int], layers: Sequence[str]
) -> list[np.ndarray]:
    """Maps of the input and of each layer."""
    check_ndim(3, image=image)
    check_finite(image=image)
    row, column = position
    height, width = image.shape[1:]
    if not (0 <= row < height and 0 <= column < width):
        raise InputError(f"position {position} lies outside the image of {height} × {width} pixels")
    pixels = _pixels(module, image).requires_grad_()
    known = dict(module.named_modules())
    given: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
        return lambda _, __, output: given.__setitem__(name, output)

    for name in layers:
        if name not in known:
            raise InputError(f"no layer {name!r}; `levels` names those to look at")
    hooks = [known[name].register_forward_hook(keep(name)) for name in layers]
    try:
        with torch.enable_grad(), _evaluating(module):
            logits = module(pixels)[0, :, row, column]
            missing = [name for name in layers if name not in given]
            if missing:
                raise InputError(f"layer {missing[0]!r} takes no part in a forward pass; `levels` names those that do")
            sources = [pixels, *(given[name] for name in layers)]
            each = [torch.autograd.grad(one, sources, retain_graph=True, allow_unused=True) for one in logits]
    finally:
        for hook in hooks:
            hook.remove()
    found = []
    for place, source in enumerate(sources):
        gradients = [torch.zeros_like(source) if one[place] is None else one[place] for one in each]
        found.append(torch.stack(gradients).abs().sum((0, 1, 2)).double().cpu().numpy())
    return found


def _pixels(module: nn.Module, image: np.ndarray) -> torch.Tensor:
    """The image as a batch, where the module's weights are and of their type."""
    like = next(module.parameters(), torch.empty(0))
    return torch.as_tensor(image[None], device=like.device, dtype=like.dtype)


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode, and as it was afterwards."""
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)


def radius_px(influence: np.ndarray, *, position: tuple[int, int], share: float = 0.95) -> float:
    """Radius of the smallest disc around ``position`` that contains a fraction of all influence.

    Args:
        influence: (H, W) non-negative.
        position: Row and column of the disc's center.
        share: In (0, 1].

    Returns:
        Distance from the center to the outermost pixel center needed, ≥ 0. NaN where nothing has influence.
    """
    if not 0 < share <= 1:
        raise InputError(f"share is {share}, expected a number in (0, 1]")
    check_ndim(2, influence=influence)
    rows, columns = np.nonzero(influence)
    if not rows.size:
        return math.nan
    distances = np.hypot(rows - position[0], columns - position[1])
    order = np.argsort(distances, kind="stable")
    gathered = np.cumsum(influence[rows, columns][order])
    # The last sum is the total itself, so that share = 1 finds the outermost pixel in spite of rounding.
    return float(distances[order][np.searchsorted(gathered, share * gathered[-1])])


def diameter_px(influence: np.ndarray, *, position: tuple[int, int], share: float = 0.95) -> float:
    """Diameter of that disc in pixels that it covers: twice the radius and the pixel in the middle.

    Args:
        influence: (H, W) non-negative.
        position: Row and column of the disc's center.
        share: In (0, 1].

    Examples:
        >>> alone = np.zeros((5, 5))
        >>> alone[2, 2] = 1
        >>> diameter_px(alone, position=(2, 2))
        1.0
    """
    return 2 * radius_px(influence, position=position, share=share) + 1


def reach_px(influence: np.ndarray, *, position: tuple[int, int]) -> int:
    """Largest row or column distance of a pixel that has any influence; 0 where none has.

    At most the theoretical receptive field, which it underestimates where pooling or a ReLU blocks the last path.
    """
    check_ndim(2, influence=influence)
    rows, columns = np.nonzero(influence)
    return int(max(np.abs(rows - position[0]).max(initial=0), np.abs(columns - position[1]).max(initial=0)))
