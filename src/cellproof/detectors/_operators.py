"""torchvision, with operators in plain torch where its compiled ones do not load.

A wheel of torchvision that was built against CUDA has operators that a CPU build of torch cannot load, and then even
``import torchvision`` fails. `torchvision` here is the package with its own compiled operators where they load, else
with the two of this file that Mask R-CNN needs.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..checks import InputError

_FAKES = re.compile(r'register_fake\("torchvision::(\w+)"\)')


@cache
def torchvision() -> ModuleType:
    """The package torchvision, ready to build detectors.

    Raises:
        InputError: It is not installed.
    """
    spec = find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "torchvision is not installed, which detectors are built with; pip install 'cellproof[detect]'"
        )
    try:
        package = import_module("torchvision")
    except RuntimeError:  # operator torchvision::nms does not exist
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        _register(Path(spec.submodule_search_locations[0]))
        package = import_module("torchvision")
    if not package.extension._has_ops():
        _register(Path(spec.submodule_search_locations[0]))
        # Both ask before they call an operator; one of them then takes a fallback that needs gigabytes.
        for name in ("torchvision.extension", "torchvision.ops.roi_align"):
            vars(sys.modules[name])["_has_ops"] = lambda: True
    return package


@cache
def _register(folder: Path) -> torch.library.Library:
    """Define ``torchvision::nms`` and ``torchvision::roi_align``; they last as long as what is returned.

    Others, for which the package in this folder registers shapes when it is imported, get a name that does nothing.
    """
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    library.define(  # type: ignore[no-untyped-call]
        "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
        "int sampling_ratio, bool aligned) -> Tensor"
    )
    library.impl("nms", nms, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
    library.impl("roi_align", roi_align, "CompositeImplicitAutograd")  # type: ignore[no-untyped-call]
    registered = _FAKES.findall((folder / "_meta_registrations.py").read_text(encoding="utf-8"))
    for name in dict.fromkeys(registered):
        if name not in ("nms", "roi_align"):
            library.define(f"{name}() -> ()")  # type: ignore[no-untyped-call]
    return library


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Boxes that no better one overlaps too much.

    From the best to the worst, a box is kept unless its IoU with one that was kept before exceeds the threshold.

    Args:
        boxes: (n, 4) left, top, right, bottom.
        scores: (n,).
        iou_threshold: In [0, 1].

    Returns:
        (k,) int64, numbers of the boxes that are kept, the best first; equal scores in the order of the boxes.

    Example:
        >>> boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
        >>> nms(boxes, torch.tensor([0.8, 0.9, 0.3]), 0.5).tolist()
        [1, 2]
    """
    order = scores.argsort(descending=True, stable=True)
    # A loop of comparisons of few numbers each, which NumPy does ten times faster than torch.
    left, top, right, bottom = boxes[order].detach().cpu().to(torch.float64).numpy().T
    areas = (right - left) * (bottom - top)
    alive = np.ones(len(order), bool)
    kept = []
    for place in range(len(order)):
        if not alive[place]:
            continue
        kept.append(place)
        rest = slice(place + 1, None)
        width = np.minimum(right[rest], right[place]) - np.maximum(left[rest], left[place])
        height = np.minimum(bottom[rest], bottom[place]) - np.maximum(top[rest], top[place])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        union = np.maximum(areas[place] + areas[rest] - shared, 1e-12)
        alive[rest] &= shared <= iou_threshold * union
    return order[torch.tensor(kept, dtype=torch.long, device=boxes.device)]


def roi_align(
    features: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """Features of boxes on a grid: each value is the mean of bilinear samples, spread evenly over its cell.

    Args:
        features: (N, C, H, W).
        rois: (R, 5) number of the image, left, top, right, bottom, in pixels of the image.
        spatial_scale: Features per pixel of the image.
        pooled_height: Rows of the grid.
        pooled_width: Columns of the grid.
        sampling_ratio: Samples of a cell along each axis; below 1 for as many as the cell has features.
        aligned: Whether pixel centers lie at half-integer positions; without, a box has at least one feature's side.

    Returns:
        (R, C, pooled_height, pooled_width); samples more than one feature outside are 0.

    References:
        He, Gkioxari, Dollár, Girshick (2017). Mask R-CNN. ICCV. doi:10.1109/ICCV.2017.322, section 3.

    Example:
        >>> ramp = torch.arange(4.0).expand(1, 1, 4, 4)
        >>> roi_align(ramp, torch.tensor([[0.0, 0, 0, 4, 4]]), 1.0, 1, 2, 2, True).flatten().tolist()
        [0.5, 2.5]
    """
    grid = (pooled_height, pooled_width)
    boxes = rois[:, 1:].to(features.dtype) * spatial_scale - (0.5 if aligned else 0.0)
    starts, sizes = boxes[:, [1, 0]], boxes[:, [3, 2]] - boxes[:, [1, 0]]  # (row, column)
    if not aligned:
        sizes = sizes.clamp(min=1)
    cells = sizes / sizes.new_tensor(grid)
    if sampling_ratio > 0:
        counts = torch.full_like(cells, sampling_ratio, dtype=torch.long)
    else:
        counts = cells.detach().ceil().long().clamp(min=1)
    output = features.new_zeros((len(rois), features.shape[1], *grid))
    if not len(rois):
        return output + 0 * features.sum()  # keeps the gradient's path
    # Boxes of one image and of equal numbers of samples are done together.
    keys = torch.cat([rois[:, :1].long(), counts], dim=1)
    for key in keys.unique(dim=0):  # type: ignore[no-untyped-call]
        own = (keys == key).all(dim=1).nonzero()[:, 0]
        image, per_row, per_column = (int(value) for value in key)
        rows = _positions(starts[own, 0], cells[own, 0], pooled_height, per_row)
        columns = _positions(starts[own, 1], cells[own, 1], pooled_width, per_column)
        sampled = _sample(features[image], rows, columns)
        output = output.index_put((own,), functional.avg_pool2d(sampled, (per_row, per_column)))
    return output


def _positions(start: Tensor, cell: Tensor, cells: int, per_cell: int) -> Tensor:
    """Positions (R, cells × per_cell) along an axis, in features."""
    steps = (torch.arange(cells * per_cell, dtype=start.dtype, device=start.device) + 0.5) / per_cell
    return start[:, None] + steps * cell[:, None]


def _sample(features: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Bilinear samples (R, C, rows, columns) of features (C, H, W) on grids, 0 beyond one feature outside."""
    height, width = features.shape[1:]
    inside = ((rows >= -1) & (rows <= height))[:, :, None] & ((columns >= -1) & (columns <= width))[:, None, :]
    y = (2 * rows / max(height - 1, 1) - 1)[:, :, None].expand(inside.shape)
    x = (2 * columns / max(width - 1, 1) - 1)[:, None, :].expand(inside.shape)
    # All boxes' rows under one another: a single call, and no copy of the features for each box.
    places = torch.stack([x, y], dim=-1).reshape(1, -1, columns.shape[1], 2)
    values = functional.grid_sample(features[None], places, mode="bilinear", padding_mode="border", align_corners=True)
    values = values[0].reshape(features.shape[0], len(rows), rows.shape[1], columns.shape[1]).transpose(0, 1)
    return values * inside[:, None]
