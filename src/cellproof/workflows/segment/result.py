"""What `cellproof.segment` returns: arrays, a table, a verdict, and ways to keep and to see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ... import types
from ...checks import InputError
from ...io import atomic_path, make_folder, write_csv
from ...report.overlay import write_overlay
from ...report.pictures import inline_picture
from ...types import Image, ModelHeader
from .names import Input, own_name
from .pictures import PlanePictures, draw
from .record import OVERLAY
from .write import Plane, class_names, join_quality, most_doubtful, object_columns, plane_pictures, write_maps

if TYPE_CHECKING:
    import pandas  # type: ignore[import-not-found, import-untyped, unused-ignore]

_SHOWN_PX = 480


@dataclass(frozen=True, repr=False, kw_only=True)
class Segmentation(types.Segmentation):
    """What was found in one image.

    Attributes:
        labels: (H, W) int32, or with the axes of the planes too: 0 background, 1…n objects without gaps, in each
            plane from 1. In semantic results: the connected components of every class but the first.
        classes: uint8 class ids, of the shape of `labels`.
        probabilities: float32, (classes, …, H, W), summing to 1 over classes.
        difficulty: float32 in [0, 1], of the shape of `labels`; 1 hardest.
        objects: Column name → (n,) array, with scikit-image's names and definitions where it has them, classes by
            name; of a stack also the number of the plane in ``plane``, counted from 0.
        quality: Verdict on the whole image.
        scale: Pixels of the network's grid per pixel of the image, smallest over planes.
        views: Ways to lay the image whose maps were averaged, most over planes.
        planes: What was found in each plane; one for a single image.
        image: What was read.
        header: Of the model.
        order: Axes of `labels`, one letter each.

    Example:
        >>> import numpy as np
        >>> import cellproof
        >>> rows, columns = np.mgrid[:96, :96]
        >>> image = np.exp(-((rows % 48 - 24) ** 2 + (columns % 48 - 24) ** 2) / 80)
        >>> result = cellproof.segment(image, threads=1)
        >>> result.quality.verdict in ("accept", "review", "reject")
        True
        >>> bool((np.bincount(result.labels.ravel())[1:] == result.objects["area"]).all())
        True
        >>> result.overlay().shape
        (96, 96, 3)
    """

    planes: tuple[types.Segmentation, ...]
    image: Image
    header: ModelHeader
    order: str

    def __repr__(self) -> str:
        """One line: what was found, in how many pixels, and the verdict."""
        size = " × ".join(map(str, self.labels.shape))
        count = self.quality.count
        found = f"{count} object{'' if count == 1 else 's'}"
        return f"<Segmentation: {found} in {size} px ({self.order}), {self.quality.verdict}: {self.quality.why}>"

    def _repr_html_(self) -> str:
        """The overlay of the most doubtful plane above the line of `repr`, for notebooks."""
        shown = inline_picture(draw(self._pictures(self._worst()), header=self.header), max_px=_SHOWN_PX)
        return (
            f'<figure><img src="{shown.source}" width="{shown.width}" height="{shown.height}" alt="overlay">'
            f"<figcaption>{escape(repr(self)[1:-1])}</figcaption></figure>"
        )

    def overlay(self) -> np.ndarray:
        """Outlines of the objects on the image, doubtful ones in orange-red; class colors in semantic results.

        Returns:
            uint8, of the shape of `labels` with a last axis of red, green and blue.

        Example:
            >>> import numpy as np
            >>> import cellproof
            >>> cellproof.segment(np.zeros((32, 40)), threads=1).overlay().shape
            (32, 40, 3)
        """
        drawn = [draw(self._pictures(place), header=self.header) for place in range(len(self.planes))]
        return _laid_out(drawn, self.image, self.order)

    def save(self, folder: str | Path, *, name: str | None = None) -> Path:
        """Write label, class and difficulty image, the overlay and the table of objects.

        They are named as those of `cellproof segment`; existing files of these names are replaced.

        Args:
            folder: Made where it is missing.
            name: What the names begin with; None for the name of the image's file, or "image".

        Returns:
            The folder.

        Raises:
            InputError: A file cannot be written.

        Example:
            >>> import tempfile
            >>> import numpy as np
            >>> import cellproof
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     saved = cellproof.segment(np.zeros((32, 40)), threads=1).save(folder, name="empty")
            ...     sorted(path.name for path in saved.iterdir())
            ['empty_classes.tif', 'empty_difficulty.tif', 'empty_labels.tif', 'empty_objects.csv', 'empty_overlay.png']
        """
        folder = make_folder(Path(folder))
        source = "image" if self.image.source == "array" else own_name(Input(Path(self.image.source)))
        start = str(folder / (name or source))
        planes = [self._plane(place)[1] for place in range(len(self.planes))]
        write_maps(start, image=self.image, planes=planes, header=self.header)
        with atomic_path(f"{start}{OVERLAY}") as temporary:
            write_overlay(temporary, draw(self._pictures(self._worst()), header=self.header))
        write_csv(f"{start}_objects.csv", object_columns(name or source, planes, self.header))
        return folder

    def to_dataframe(self) -> pandas.DataFrame:
        """The table of objects as a pandas data frame, one row per object.

        Raises:
            InputError: pandas is not installed; `objects` holds the same columns as arrays.
        """
        try:
            import pandas
        except ImportError as error:
            raise InputError(
                "to_dataframe needs pandas, which is not installed: pip install pandas; `objects` holds the same "
                "columns as arrays"
            ) from error
        return pandas.DataFrame(dict(self.objects))

    def _plane(self, place: int) -> tuple[np.ndarray, Plane]:
        """Pixels (C, H, W) of a plane and what was found there."""
        found = self.planes[place]
        return self.image.pixels[place], Plane.of(found)

    def _pictures(self, place: int) -> PlanePictures:
        return plane_pictures(self.image, self._plane(place)[1], place)

    def _worst(self) -> int:
        return most_doubtful([plane.quality for plane in self.planes])


def join_planes(planes: Sequence[types.Segmentation], *, image: Image, header: ModelHeader, order: str) -> Segmentation:
    """The segmentation of an image from those of its planes.

    Args:
        planes: As `segment_plane` returns them, in the order of ``image.pixels``.
        image: What was segmented.
        header: Of the model.
        order: Axes of the result: those of the planes, Y and X, in any order.
    """

    def laid_out(maps: Sequence[np.ndarray]) -> np.ndarray:
        return _laid_out(maps, image, order)

    objects: dict[str, np.ndarray] = {}
    if image.plane_axes:
        objects["plane"] = np.repeat(np.arange(len(planes)), [len(plane.objects["label"]) for plane in planes])
    for column in planes[0].objects:
        objects[column] = np.concatenate([plane.objects[column] for plane in planes])
    objects["class"] = class_names(objects["class"], header)
    return Segmentation(
        labels=laid_out([plane.labels for plane in planes]),
        classes=laid_out([plane.classes for plane in planes]),
        probabilities=np.stack(
            [laid_out([plane.probabilities[k] for plane in planes]) for k in range(len(planes[0].probabilities))]
        ),
        difficulty=laid_out([plane.difficulty for plane in planes]),
        objects=objects,
        quality=join_quality([plane.quality for plane in planes]),
        scale=min(plane.scale for plane in planes),
        views=max(plane.views for plane in planes),
        planes=tuple(planes),
        image=image,
        header=header,
        order=order,
    )


def _laid_out(maps: Sequence[np.ndarray], image: Image, order: str) -> np.ndarray:
    """Maps of all planes, (H, W, …) each, with axes in the order of the input; those behind Y and X stay last."""
    inner = maps[0].shape
    stacked = np.stack(maps).reshape(*image.plane_shape, *inner) if image.plane_axes else maps[0]
    now = f"{image.plane_axes}YX"
    rest = range(len(now), stacked.ndim)
    return np.ascontiguousarray(np.transpose(stacked, [*(now.index(letter) for letter in order), *rest]))
