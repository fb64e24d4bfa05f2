"""Star-convex polygons: how deep a pixel lies in its object, and how far the object reaches in n directions."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects

from ...checks import InputError, check_labels, check_ndim, check_same_shape
from ...types import Head, LossTerm
from ._objects import Objects

LOSS = (LossTerm("star_convex", 1.0, "star_convex"),)


def head(*, rays: int = 32, unit_px: float = 4.0) -> Head:
    """One channel for the object probability, and one for each direction.

    Args:
        rays: Number of directions, a positive multiple of 4, so that quarter turns map them onto each other. More
            follow an outline more closely and cost a channel each.
        unit_px: The network gives lengths in this many pixels: in pixels, a training of some hundred steps does not get
            far from 0; in units as large as objects, lengths alone shape what the network learns.

    Raises:
        InputError: Another number of rays; a unit that is not above 0.

    Examples:
        >>> head(rays=16).channels
        17
    """
    if isinstance(rays, bool) or not isinstance(rays, int) or rays < 4 or rays % 4:
        raise InputError(f"rays is {rays!r}; expected a multiple of 4, such as 32")
    if not (isinstance(unit_px, int | float) and 0 < unit_px < float("inf")):
        raise InputError(f"unit_px is {unit_px!r}; expected a length above 0, such as 4")
    unit = float(unit_px)
    return Head("star_convex", rays + 1, activation="positive", geometry="rays", probabilities=1, unit=unit)


def target(objects: Objects, head: Head) -> np.ndarray:
    """(1 + rays, H, W) float32: `object_probability`, then `ray_lengths`."""
    probability = object_probability(objects.instances, ignored=objects.ignored)
    lengths = ray_lengths(objects.instances, rays=head.channels - head.probabilities)
    return np.concatenate([probability[np.newaxis], lengths])


def object_probability(instances: np.ndarray, *, ignored: np.ndarray | None = None) -> np.ndarray:
    """Distance of a pixel to what is not its object, divided by the largest such distance in the object.

    The image's own edge and pixels without annotation are no end of an object, which goes on behind them.

    Args:
        instances: (H, W) object ids, 0 background.
        ignored: (H, W) bool, pixels without annotation; None for none.

    Returns:
        (H, W) float32 in [0, 1], 0 outside objects, 1 at the deepest pixels of each; 1 in all of an object that ends
        nowhere in the image.

    References:
        Schmidt, Weigert, Broaddus, Myers (2018). Cell detection with star-convex polygons. MICCAI, section 2.
        doi:10.1007/978-3-030-00934-2_30

    Examples:
        >>> object_probability(np.array([[0, 3, 3, 3, 3, 3, 3, 3, 0]])).tolist()
        [[0.0, 0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0]]
    """
    check_ndim(2, instances=instances)
    check_labels(instances=instances)
    if ignored is not None:
        check_same_shape(instances=instances, ignored=ignored)
    found = np.zeros(instances.shape, np.float32)
    numbers = _numbered(instances)
    for number, box in enumerate(find_objects(numbers), start=1):
        # Any nearest pixel outside the object lies within one pixel of its box.
        wider = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in box)
        inside = numbers[wider] == number
        whole = inside if ignored is None else inside | ignored[wider]
        if whole.all():
            found[wider][inside] = 1
            continue
        depth = distance_transform_edt(whole)
        found[wider][inside] = depth[inside] / depth[inside].max()
    return found


def ray_lengths(instances: np.ndarray, *, rays: int) -> np.ndarray:
    """How far each pixel's object reaches in ``rays`` directions.

    A ray advances by steps of one pixel's length and looks at the nearest pixel. It ends where it crosses about half of
    the first pixel beyond the object: exactly midway along rows and columns, within half a step elsewhere. It ends at
    the edge of the image, too, and at pixels without annotation.

    Args:
        instances: (H, W) object ids, 0 background and pixels without annotation.
        rays: Number of directions; ray k points to row sin 2πk/rays, column cos 2πk/rays.

    Returns:
        (rays, H, W) float32 in pixels, at least 0.5 in objects, 0 outside.

    References:
        The lengths are those of ``stardist.geometry.star_dist`` (Schmidt et al. 2018,
        doi:10.1007/978-3-030-00934-2_30), except for rays that pass exactly between two pixels, as at 30°: what is
        nearest is then a matter of its rounding.

    Examples:
        >>> ray_lengths(np.array([[0, 3, 3, 3, 0]]), rays=4)[:, 0, 1].tolist()
        [2.5, 0.5, 0.5, 0.5]
    """
    check_ndim(2, instances=instances)
    check_labels(instances=instances)
    numbers = _numbered(instances)
    reach = 2 + max((part.stop - part.start for box in find_objects(numbers) for part in box), default=0)
    padded = np.pad(numbers, reach)
    pixels = np.flatnonzero(padded)
    lengths = np.zeros((rays, *instances.shape), np.float32)
    for ray in range(rays):
        angle = 2 * np.pi * ray / rays
        direction = np.array([np.sin(angle), np.cos(angle)])
        steps = _steps_inside(padded, pixels, _path(direction, reach) @ [padded.shape[1], 1])
        lengths[ray, numbers > 0] = steps + 0.5 / np.abs(direction).max()
    return lengths


def _path(direction: np.ndarray, steps: int) -> np.ndarray:
    """(steps, 2) whole pixels nearest to 1, 2, … steps in a direction.

    Halves, as at 30°, are rounded away from zero, so that a turned ray takes the turned path.
    """
    way = np.round(np.arange(1, steps + 1)[:, np.newaxis] * direction, 9)
    nearest: np.ndarray = (np.sign(way) * np.floor(np.abs(way) + 0.5)).astype(np.int64)
    return nearest


def _steps_inside(numbers: np.ndarray, pixels: np.ndarray, path: np.ndarray) -> np.ndarray:
    """How many steps of a path, in flat indices, each of the pixels (flat, too) takes before it leaves its object."""
    flat = numbers.ravel()
    steps = np.zeros(pixels.size, np.float32)
    going, here, own = np.arange(pixels.size), pixels, flat[pixels]
    for taken, offset in enumerate(path):
        inside = flat[here + offset] == own
        steps[going[~inside]] = taken
        going, here, own = going[inside], here[inside], own[inside]
        if not going.size:
            break
    return steps


def _numbered(instances: np.ndarray) -> np.ndarray:
    """The same objects numbered 1…n, in the narrowest type: comparing pixels is what takes the time."""
    ids, numbers = np.unique(instances, return_inverse=True)
    first = 0 if ids.size and ids[0] == 0 else 1
    kind = np.uint8 if ids.size < 255 else np.uint16 if ids.size < 65_535 else np.int32
    numbered: np.ndarray = (numbers + first).reshape(instances.shape).astype(kind)
    return numbered
