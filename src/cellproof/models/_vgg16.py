"""ImageNet weights of VGG-16 into an FCN-8s, from a file in torchvision's layout.

Only safetensors files are read. torchvision gives its weights as pickles; `torch.load(weights_only=True)` restricts
what a pickle can do, but the restriction was broken more than once (CVE-2025-32434, CVE-2026-24747; the second in
releases of torch that this package runs on). Who trusts the file's source converts it once::

    import torch, torchvision
    from safetensors.torch import save_file
    save_file(torchvision.models.vgg16(weights="DEFAULT").state_dict(), "vgg16.safetensors")

and likewise `vgg16_bn` for a network with a norm.

References:
    Simonyan, Zisserman (2015). Very deep convolutional networks for large-scale image recognition. ICLR.
    arXiv:1409.1556
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..checks import InputError
from ._batch_renorm import BatchRenorm2d
from .fcn8s import FC6, FCN8s

EPSILON = nn.BatchNorm2d(1).eps
"""Of the file's batch normalizations."""


def holds_vgg16(path: str | Path) -> bool:
    """Whether a file is a safetensors file that names its tensors as torchvision's VGG-16 does."""
    return "features.0.weight" in _shapes(Path(path), tolerant=True)


def load_vgg16(network: nn.Module, path: str | Path) -> tuple[int, int]:
    """Copy the encoder's weights, and those of fc6 and fc7 where the file has them and they are as wide as the file's.

    A network with a norm takes VGG-16-BN, one without VGG-16. VGG-16 reads color; the weights of a network that
    reads one channel are summed over the colors, so that it sees a gray image as VGG-16 sees it in gray colors.

    Args:
        network: An `FCN8s`, changed in place.
        path: A safetensors file in the layout of torchvision's `vgg16` or `vgg16_bn`.

    Returns:
        Numbers of tensors filled and of tensors in the network.

    Raises:
        InputError: another network, a file of another kind, or a tensor that is missing or has another shape, by name.
    """
    if not isinstance(network, FCN8s):
        raise InputError(f"{path}: weights of VGG-16, which start an fcn8s only, not a {type(network).__name__}")
    if network.in_channels not in (1, 3):
        raise InputError(f"{path}: VGG-16 reads 1 or 3 channels, the network {network.in_channels}")
    given = _shapes(Path(path))
    wanted = _wanted(network, given)
    for name, shape in wanted.items():
        if given.get(name) != shape:
            came = "missing" if name not in given else f"of shape {given[name]}"
            raise InputError(
                f"{path}: {name} is {came}, expected shape {shape}; an fcn8s without a norm takes torchvision's vgg16, "
                "one with a norm its vgg16_bn, each with width = 64"
            )
    with safe_open(str(path), framework="pt") as file:
        tensors = {name: file.get_tensor(name).float() for name in wanted}
    filled = 0
    with torch.no_grad():
        for target, value in _fillings(network, tensors):
            target.copy_(value)
            filled += 1
    return filled, len(network.state_dict())


def _shapes(path: Path, *, tolerant: bool = False) -> dict[str, tuple[int, ...]]:
    """Shapes of a safetensors file's tensors; a file of another kind has none, or is refused."""
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        if tolerant:
            return {}
        raise InputError(
            f"{path}: no safetensors file ({str(error)[:160]}); a pickled .pth is never opened because it "
            "can run code: if you trust it, save its tensors with safetensors.torch.save_file"
        ) from error


def _layers(network: FCN8s) -> Iterator[tuple[str, nn.Conv2d, nn.Module | None]]:
    """Each convolution of the encoder, with its name in the file and the norm that follows it, if any."""
    place = 0
    for stage in network.encoder:
        layers = list(stage.children())
        for before, after in pairwise(layers):
            if isinstance(before, nn.Conv2d):
                yield f"features.{place}", before, None if isinstance(after, nn.ReLU) else after
            place += 1
        place += 2  # the last ReLU and the pooling


def _wanted(network: FCN8s, given: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the file's tensors that the network needs."""
    wanted: dict[str, tuple[int, ...]] = {}
    for name, convolution, norm in _layers(network):
        out_channels, in_channels, *kernel = convolution.weight.shape
        wanted[f"{name}.weight"] = (out_channels, 3 if not wanted else in_channels, *kernel)
        wanted[f"{name}.bias"] = (out_channels,)
        if norm is not None:
            for part in ("weight", "bias", "running_mean", "running_var"):
                wanted[f"{_next(name)}.{part}"] = (out_channels,)
    fc_width = network.fc6.out_channels
    if given.get("classifier.0.weight", (0,))[0] == fc_width:
        wanted["classifier.0.weight"] = (fc_width, network.fc6.in_channels * FC6**2)
        wanted["classifier.3.weight"] = (fc_width, fc_width)
        wanted["classifier.0.bias"] = wanted["classifier.3.bias"] = (fc_width,)
    return wanted


def _fillings(network: FCN8s, tensors: Mapping[str, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of a tensor of the network and its new value."""
    for name, convolution, norm in _layers(network):
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        if convolution.in_channels == 1:
            weight = weight.sum(1, keepdim=True)
        yield convolution.weight, weight
        if norm is None:
            assert convolution.bias is not None
            yield convolution.bias, bias
        else:
            values = {part: tensors[f"{_next(name)}.{part}"] for part in ("weight", "bias", "running_var")}
            # The convolution has no bias here: what the file's adds is taken off the mean that is subtracted next.
            yield from _norm_fillings(norm, {**values, "running_mean": tensors[f"{_next(name)}.running_mean"] - bias})
    for name, convolution in (("classifier.0", network.fc6), ("classifier.3", network.fc7)):
        if f"{name}.weight" in tensors:
            assert convolution.bias is not None
            yield convolution.weight, tensors[f"{name}.weight"].reshape(convolution.weight.shape)
            yield convolution.bias, tensors[f"{name}.bias"]


def _norm_fillings(norm: nn.Module, values: Mapping[str, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """The same for one norm; batch renormalization keeps a standard deviation, with epsilon in it."""
    assert isinstance(norm, nn.BatchNorm2d | BatchRenorm2d)
    yield norm.weight, values["weight"]
    yield norm.bias, values["bias"]
    assert norm.running_mean is not None
    yield norm.running_mean, values["running_mean"]
    if isinstance(norm, BatchRenorm2d):
        yield norm.running_sd, (values["running_var"] + EPSILON).sqrt()
    else:
        assert norm.running_var is not None
        yield norm.running_var, values["running_var"]


def _next(name: str) -> str:
    """The name of the layer after a convolution."""
    prefix, place = name.split(".")
    return f"{prefix}.{int(place) + 1}"
