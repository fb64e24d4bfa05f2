"""Small images segmented side by side: how many at once, and the model of each."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

from ...types import Image
from ..predict import EngineChoice, Model, load_model
from .file import SegmentOptions

MOST_LANES = 4

PIXELS_AT_ONCE = 2**21
"""In all lanes together: what one window of a large image has, so that memory is no more than with those."""

FEWEST_INPUTS = 8
"""Fewer end before the models of the lanes, each ready after some 0.2 s, have paid."""

AHEAD = 4
"""Small inputs that are read before a lane is free. They are told of in their order, and without some in hand lanes
would be idle behind one that looks at its image in more views."""


class Lanes:
    """Threads in which whole inputs are segmented, each with a model of its own on its share of the processor.

    A network on all cores leaves all but one idle while objects are found, measured and judged; as many networks as
    there are lanes, on a part of the cores each, leave none idle. Results are the same.

    Attributes:
        count: Of lanes; 1 where inputs are better segmented one after the other.
    """

    def __init__(self, model: Model, options: SegmentOptions, *, inputs: int) -> None:
        threads = options.choice.threads or _cores()
        many = inputs >= FEWEST_INPUTS and options.max_memory_bytes is None
        self.count = min(MOST_LANES, threads) if many and all(one.name == "openvino" for one in model.engines) else 1
        self._path: Path = model.path
        self._choice: EngineChoice = replace(options.choice, threads=max(1, threads // self.count))
        self._own = threading.local()

    @property
    def most_begun(self) -> int:
        """Small inputs in work, or read and waiting for a lane."""
        return self.count + AHEAD

    def take(self, image: Image) -> bool:
        """Whether an image is so small that as many as there are lanes are segmented at once."""
        planes, _, rows, columns = image.pixels.shape
        return self.count > 1 and planes * rows * columns <= PIXELS_AT_ONCE // self.count

    def model(self) -> Model:
        """That of the lane in whose thread this is called, loaded when it is first asked for.

        Raises:
            InputError: The file cannot be read any more.
        """
        if not hasattr(self._own, "model"):
            self._own.model = load_model(self._path, self._choice)
        found: Model = self._own.model
        return found


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
