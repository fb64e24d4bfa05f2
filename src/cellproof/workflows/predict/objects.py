"""Predicted maps become labels and classes."""

from __future__ import annotations

import numpy as np

from ...inference.activate import Maps
from ...instances.components import label_components
from ...instances.decode import decode, object_classes
from ...types import ModelHeader


def label_objects(maps: Maps, header: ModelHeader) -> tuple[np.ndarray, np.ndarray]:
    """Labels (H, W) int32 and class map (H, W) uint8.

    With instance heads an object has one class, and the class map shows it in all its pixels. Without, each
    pixel takes its likeliest class, and the labels number the connected regions of every class but the first.
    """
    if not header.heads.has_instances:
        classes = maps.probabilities.argmax(axis=0).astype(np.uint8)
        return label_components(classes), classes
    labels = decode(
        maps.probabilities, boundary=maps.boundary, distance=maps.distance, flows=maps.flows, options=header.instance
    )
    of_label = np.concatenate([[0], object_classes(labels, maps.probabilities)]).astype(np.uint8)
    return labels, of_label[labels]
