"""Networks of OpenVINO whose convolutions multiply 8-bit integers.

A convolution's weights are rounded to 255 steps, each output channel on a scale of its own, and its input to 256 steps
of a range that was measured on images. Convolutions that read the image itself, and those that give the result, stay
as they are: they take a tenth of the time, and every error of theirs is seen.

References:
    Krishnamoorthi (2018). Quantizing deep convolutional networks for efficient inference. arXiv:1806.08342
    (sections 3.1 and 5: after training, a scale per channel for weights, one per tensor for activations).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import openvino
from openvino import opset13

Ranges = tuple[tuple[float, float, float], ...]
"""For each convolution that is rounded: the sum of its weights' absolute values, by which it is known whatever order
and names a version of OpenVINO gives; and the lowest and highest value that its input takes."""

_WEIGHT_AXES = {"Convolution": (1, 2, 3), "GroupConvolution": (2, 3, 4), "ConvolutionBackpropData": (0, 2, 3)}
"""Axes over which the weights of a kind of convolution share a scale: all but those of the output channel."""

_SAME = 1e-4
"""Relative difference up to which two sums of weights are those of one convolution."""

_SAMPLED = 7
"""Every so many values of an input are looked at."""

_INSIDE_PERCENT = 99.99
"""So many of an image's values lie below the top of its range; further ones are cut."""

_INSIDE_IMAGES = 0.95
"""A range holds those of so many images."""


@cache
def core() -> openvino.Core:
    """OpenVINO's runtime, of which a process needs one."""
    return openvino.Core()


def measure_ranges(model: openvino.Model, images: Iterable[np.ndarray]) -> Ranges:
    """What the inputs of a network's convolutions amount to.

    Args:
        model: With one input (N, C, H, W) and constant weights; not changed.
        images: (C, H, W) float32 each, of sizes that the network takes, at least one.

    Returns:
        One entry for each convolution between others.
    """
    observed = model.clone()
    layers, results = _inner(observed), len(observed.outputs)
    sources = {_key(layer): layer.input_value(0) for layer in layers}
    places = {key: place for place, key in enumerate(sources)}
    observed.add_outputs(list(sources.values()))
    compiled = core().compile_model(observed, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    extremes = []
    for image in images:
        found = compiled({0: np.ascontiguousarray(image[np.newaxis], np.float32)})
        values = [found[results + place].ravel()[::_SAMPLED] for place in range(len(places))]
        extremes.append([np.percentile(one, (100 - _INSIDE_PERCENT, _INSIDE_PERCENT)) for one in values])
    lows, highs = np.moveaxis(np.array(extremes), 2, 0)
    low, high = np.quantile(lows, 1 - _INSIDE_IMAGES, axis=0), np.quantile(highs, _INSIDE_IMAGES, axis=0)
    entries = []
    for layer in layers:
        place, mark = places[_key(layer)], np.abs(_constant(layer.input_value(1))).sum(dtype=np.float64)
        entries.append((_short(mark), _short(low[place]), _short(high[place])))
    return tuple(entries)


def quantized(model: openvino.Model, ranges: Sequence[Sequence[float]]) -> openvino.Model:
    """A copy of a network whose inner convolutions OpenVINO carries out in 8-bit integers.

    Args:
        model: As in `measure_ranges`.
        ranges: From there.

    Raises:
        ValueError: They are those of another network.
    """
    copy = model.clone()
    layers = _inner(copy)
    if len(layers) != len(ranges):
        raise ValueError(f"{len(ranges)} ranges for {len(layers)} convolutions")
    rounded: dict[tuple[str, int], openvino.Node] = {}
    for layer in layers:
        weights = _constant(layer.input_value(1))
        mark = float(np.abs(weights).sum(dtype=np.float64))
        fitting = [(low, high) for known, low, high in ranges if abs(known - mark) <= _SAME * mark]
        if len(fitting) != 1:
            raise ValueError(f"{len(fitting)} ranges for the convolution {layer.get_friendly_name()}")
        if _key(layer) not in rounded:
            rounded[_key(layer)] = _steps(layer.input_value(0), *fitting[0])
        layer.input(0).replace_source_output(rounded[_key(layer)].output(0))
        largest = np.maximum(np.abs(weights).max(_WEIGHT_AXES[layer.get_type_name()], keepdims=True), 1e-8)
        both = [opset13.constant(sign * largest) for sign in (-1, 1)]
        # Of 8 bits weights use the 255 values that lie alike on both sides of 0.
        steps = opset13.fake_quantize(opset13.constant(weights), *both, *both, 255)
        layer.input(1).replace_source_output(steps.output(0))
    copy.validate_nodes_and_infer_types()
    return copy


def _steps(source: openvino.Output, low: float, high: float) -> openvino.Node:
    """The values of an output rounded to 256 steps, one of which is 0."""
    if low < 0:
        step = max(-low / 128, high / 127)
        low, high = -128 * step, 127 * step
    else:
        low = 0.0
    ends = [opset13.constant(np.full((1, 1, 1, 1), value, np.float32)) for value in (low, high)]
    return opset13.fake_quantize(source, *ends, *ends, 256)


def _short(value: float) -> float:
    """The number with as many digits as matter."""
    return float(f"{value:.6g}")


def _inner(model: openvino.Model) -> list[openvino.Node]:
    """Convolutions before which, on every way from the image, lies another, and after which lies another."""
    ordered = model.get_ordered_ops()
    after: dict[str, bool] = {}
    before: set[str] = set()
    for node in ordered:
        sources = [one.get_source_output().get_node() for one in node.inputs()]
        behind = [after[one.get_friendly_name()] for one in sources if one.get_type_name() != "Constant"]
        is_image = node.get_type_name() == "Parameter"
        after[node.get_friendly_name()] = node.get_type_name() in _WEIGHT_AXES or (not is_image and all(behind))
    for node in reversed(ordered):
        if node.get_type_name() in _WEIGHT_AXES or node.get_friendly_name() in before:
            before |= {one.get_source_output().get_node().get_friendly_name() for one in node.inputs()}
    return [
        node
        for node in ordered
        if node.get_type_name() in _WEIGHT_AXES
        and after[node.input_value(0).get_node().get_friendly_name()]
        and node.get_friendly_name() in before
    ]


def _key(layer: openvino.Node) -> tuple[str, int]:
    """What names the input of a convolution, which several may share."""
    source = layer.input_value(0)
    return source.get_node().get_friendly_name(), source.get_index()


def _constant(output: openvino.Output) -> np.ndarray:
    """Values of an output that depends on constants alone, float32."""
    if output.get_node().get_type_name() == "Constant":
        return np.array(output.get_node().data, np.float32)
    compiled = core().compile_model(
        openvino.Model([opset13.result(output)], [], "constant"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return np.array(compiled({})[0], np.float32)
