"""An image and its mask become a sample; what is fixed on the way is said aloud."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label as label_components

from ..checks import InputError, check_labels, check_ndim
from ..types import IGNORE, Sample
from .description import Description

EIGHT_NEIGHBORS = np.ones((3, 3), bool)


def make_sample(
    image: np.ndarray, mask: np.ndarray, description: Description, *, classes: np.ndarray | None = None
) -> Sample:
    """Sample of a normalized image and its mask as `fix_mask` leaves it.

    Args:
        image: (C, H, W) float32, normalized.
        mask: (H, W) whole numbers: class ids or object ids, as the description says.
        description: Of the data set.
        classes: (H, W) class ids 1…K of the objects' pixels, for objects of several classes; 0 elsewhere.

    Returns:
        The sample; its object ids are 1…n in the order of the mask's. Pixels with the ignore value are
        `IGNORE` in its class map and 0 in its instances.

    Raises:
        InputError: Mask and image differ in size, a value is no class, or the class of objects is missing.
    """
    check_ndim(3, image=image)
    check_ndim(2, mask=mask)
    check_labels(mask=mask)
    if image.shape[1:] != mask.shape:
        raise InputError(
            f"the image is {_size(image)} pixels and its mask {_size(mask)} (rows × columns); expected the same size"
        )
    ignored = mask == description.ignore if description.ignore is not None else np.zeros(mask.shape, bool)
    if description.masks == "semantic":
        _check_classes(mask[~ignored], lowest=0, highest=len(description.classes) - 1)
        return Sample(image, np.where(ignored, IGNORE, mask).astype(np.uint8))
    instances = _number_from_one(np.where(ignored, 0, mask))
    class_map = _object_classes(instances, classes, description)
    return Sample(image, np.where(ignored, IGNORE, class_map).astype(np.uint8), instances)


def fix_mask(mask: np.ndarray, description: Description) -> tuple[np.ndarray, list[str]]:
    """Repair masks whose meaning is plain although their values are not the description's.

    With two semantic classes, 0 and 255 are 0 and 1, unless 255 is the ignore value. Where objects are
    wanted and the mask is foreground in several pieces, each piece (8-neighborhood) is an object.

    Args:
        mask: (H, W) whole numbers or booleans.
        description: Of the data set.

    Returns:
        The mask, itself if nothing was wrong, and a sentence for each repair.
    """
    check_ndim(2, mask=mask)
    check_labels(mask=mask)
    if mask.dtype == bool:
        mask = mask.astype(np.uint8)
    values = [value for value in np.unique(mask).tolist() if value != description.ignore]
    if not values or values[-1] not in (1, 255) or any(values[:-1]):
        return mask, []
    if description.masks == "semantic":
        if values[-1] == 255 and len(description.classes) == 2:
            return (mask == 255).astype(np.uint8), [f"mask value 255 taken for class 1 ({description.classes[1]})"]
        return mask, []
    pieces, count = label_components(mask == values[-1], structure=EIGHT_NEIGHBORS)
    if count < 2:
        return mask, []
    if description.ignore is not None:
        pieces[pieces >= description.ignore] += 1  # no piece may take the ignore value as its id
        pieces[mask == description.ignore] = description.ignore
    return pieces, [
        f"the mask is foreground of the one value {values[-1]}: its {count} separate pieces taken for objects"
    ]


def rescale_sample(sample: Sample, scale: float) -> Sample:
    """Sample at ``scale`` times its size: intensities linear, smoothed before shrinking; labels nearest.

    Objects that shrink to nothing are lost, and the ids of the others stay.

    Raises:
        InputError: The scale is not positive.
    """
    if not 0 < scale < np.inf:
        raise InputError(f"scale is {scale:g}, expected a positive number")
    rows, columns = (max(1, round(length * scale)) for length in sample.class_map.shape)
    if (rows, columns) == sample.class_map.shape:
        return sample
    image = rescale_image(sample.image, (rows, columns))
    grid = np.ix_(_nearest(rows, sample.class_map.shape[0]), _nearest(columns, sample.class_map.shape[1]))
    instances = None if sample.instances is None else sample.instances[grid]
    return Sample(image, sample.class_map[grid], instances)


def rescale_image(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Intensities (C, H, W) on a grid of ``shape``, linear, smoothed before shrinking; float32."""
    from skimage.transform import resize  # a fifth of a second that images at their own scale do not need

    shrinks = shape[0] < image.shape[1] or shape[1] < image.shape[2]
    resized: np.ndarray = resize(
        image.astype(np.float32), (len(image), *shape), order=1, mode="edge", anti_aliasing=shrinks, preserve_range=True
    )
    return resized.astype(np.float32, copy=False)


def _object_classes(instances: np.ndarray, classes: np.ndarray | None, description: Description) -> np.ndarray:
    """Class ids 1…K inside objects, 0 outside."""
    inside = instances > 0
    if classes is None:
        if len(description.classes) > 1:
            raise InputError(
                f"objects of the classes {', '.join(description.classes)} need a class map beside the object ids; "
                "give one, or name one class"
            )
        return inside.astype(np.uint8)
    check_labels(classes=classes)
    if classes.shape != instances.shape:
        raise InputError(
            f"the object ids are {_size(instances)} pixels and the class map {_size(classes)}; expected the same size"
        )
    _check_classes(classes[inside], lowest=1, highest=len(description.classes))
    return np.where(inside, classes, 0).astype(np.uint8)


def _check_classes(values: np.ndarray, *, lowest: int, highest: int) -> None:
    wrong = [value for value in np.unique(values).tolist() if not lowest <= value <= highest]
    if wrong:
        listed = ", ".join(str(value) for value in wrong[:5]) + (", …" if len(wrong) > 5 else "")
        raise InputError(
            f"the mask holds {listed}, expected class ids {lowest} to {highest}; "
            "list every class in dataset.toml, or name the ignore value there"
        )


def _number_from_one(labels: np.ndarray) -> np.ndarray:
    """Ids 1…n without gaps, in the order of the given ones; (H, W) int32."""
    ids, positions = np.unique(labels, return_inverse=True)
    missing_background = int(ids.size > 0 and ids[0] > 0)
    return (positions.reshape(labels.shape) + missing_background).astype(np.int32)


def _nearest(wanted: int, given: int) -> np.ndarray:
    """Index of the given pixel under the center of each wanted one, (wanted,)."""
    return ((np.arange(wanted) + 0.5) * given / wanted).astype(np.intp)


def _size(array: np.ndarray) -> str:
    return f"{array.shape[-2]} × {array.shape[-1]}"
