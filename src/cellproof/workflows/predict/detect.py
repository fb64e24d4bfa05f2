"""A detector and an image → maps like those of other networks: windows, views and members of one image together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from ...detectors.detections import Detections, together
from ...detectors.fuse import claims, class_probabilities, summed_masks
from ...detectors.merge import distinct, merge
from ...inference.activate import Maps, tempered
from ...inference.engine import Engine
from ...inference.predict import read_window
from ...inference.tiles import Plan, Tile, plan_tiles
from ...inference.tta import ONE_VIEW, View
from ...types import Heads


def detect(
    engines: Sequence[Engine],
    image: np.ndarray,
    *,
    shape: tuple[int, int],
    heads: Heads,
    stride_px: int,
    halo_px: int,
    max_pixels: int,
    temperature: float = 1.0,
    views: Sequence[View] = ONE_VIEW,
    progress: Callable[[int, int], None] | None = None,
    each: Callable[[int, Maps], None] | None = None,
) -> Maps:
    """Run a detector over an image of any size.

    An object belongs to the window in whose own part its box is centered. One that is no larger than the halo is seen
    whole there, so the result is that of the whole image as far as the network sees no further than the halo. What
    views and members find is merged (`merge`), and class probabilities are the mean over views and members.

    Args:
        engines: One for each member.
        image: (C, H, W) float32, normalized, on the networks' grid.
        shape: Height and width of the maps, onto which detections are brought before they become pixels.
        heads: Of a detector.
        stride_px: Networks take multiples of this.
        halo_px: Around a window's own part.
        max_pixels: Largest window.
        temperature: Of the class probabilities.
        views: Ways to lay the image, whose detections are merged.
        progress: See `inference.predict.predict`.
        each: See `inference.predict.predict`.

    Returns:
        Class probabilities, and the output "detections"; all background without detections.
    """
    rows, columns = image.shape[1:]
    plan = plan_tiles((rows, columns), halo_px=halo_px, stride_px=stride_px, max_pixels=max_pixels)
    passes = list(product(range(len(engines)), views))
    scale = (shape[0] / rows, shape[1] / columns)
    runs: list[Detections] = []
    total = np.zeros((heads.classes, *shape), np.float32)
    for member, view in passes:
        found: list[Detections] = []
        for tile in plan:
            found.append(_detect_in(tile, view, engines[member], image, plan, stride_px=stride_px))
            if progress is not None:
                progress(len(runs) * len(plan) + len(found), len(passes) * len(plan))
        run = distinct(together(found)) if len(plan) > 1 else found[0]
        runs.append(run.placed(scale=scale))
        probabilities = class_probabilities(runs[-1], shape, classes=heads.classes)
        own = tempered(Maps(probabilities), temperature).probabilities
        total += own
        if each is not None:
            each(member, Maps(own, {"detections": _fields(runs[-1], shape)}))
    return Maps(total / len(passes), {"detections": _fields(merge(runs), shape)})


def _detect_in(tile: Tile, view: View, engine: Engine, image: np.ndarray, plan: Plan, *, stride_px: int) -> Detections:
    """What a window shows that is its own, in pixels of the image."""
    window = view.forward(read_window(image, tile, stride_px=stride_px))
    found = back(Detections.of_table(engine(window[np.newaxis])), view, (window.shape[1], window.shape[2]))
    found = found.placed(shift=(tile.row.read.start, tile.column.read.start))
    centers = (found.boxes[:, [1, 0]] + found.boxes[:, [3, 2]]) / 2
    inside = np.ones(len(found), bool)
    for axis, span in enumerate((tile.row, tile.column)):
        # A stride beyond a seam, so that nothing falls between windows that see its box a little differently.
        start = span.core.start - (stride_px if span.core.start else 0)
        stop = span.core.stop + (stride_px if span.core.stop < plan.shape[axis] else 0)
        inside &= (centers[:, axis] >= start) & (centers[:, axis] <= stop)
    return found.take(np.flatnonzero(inside))


def back(found: Detections, view: View, shape: tuple[int, int]) -> Detections:
    """Detections in an image that was laid down in a view, as of the image as it came.

    Args:
        found: In pixels of the view.
        view: How the image was laid down.
        shape: Height and width of the view.
    """
    rows, columns = shape
    if view.flip:
        found = found.flipped(columns)
    for _ in range(view.turns):
        found = found.turned_back(rows)
        rows, columns = columns, rows
    return found


def _fields(found: Detections, shape: tuple[int, int]) -> np.ndarray:
    """The four channels of the output "detections"."""
    return np.concatenate([claims(found, shape), summed_masks(found, shape)[None]])
