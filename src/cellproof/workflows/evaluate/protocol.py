"""What a protocol is: how predictions are compared with references, in one file of ``protocols/``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from ...checks import InputError, UsageError
from ...data.description import Description
from ...metrics.rows import Row
from ...report.difficulty_pictures import Captioned


@dataclass(frozen=True)
class ClassNames:
    """What the values of masks mean.

    Attributes:
        classes: Name of each class; with instances, of the objects' classes.
        has_objects: Whether masks hold object ids (0 is background) instead of class numbers.
        colors: ``#rrggbb`` of each class; may be empty.
        ignore: Value of pixels without annotation; None where every pixel has one.
    """

    classes: tuple[str, ...]
    has_objects: bool = False
    colors: tuple[str, ...] = ()
    ignore: int | None = None

    @classmethod
    def of(cls, description: Description) -> ClassNames:
        """What the values of a data set's masks mean."""
        return cls(description.classes, description.masks == "instances", description.colors, description.ignore)

    def number(self, name: str) -> int:
        """Number of a class in the masks.

        Raises:
            InputError: There is no class of this name.

        Examples:
            >>> ClassNames(("cell", "membrane")).number("membrane")
            1
        """
        if name not in self.classes:
            raise InputError(f"no class {name!r}; the classes are {', '.join(self.classes)}")
        return self.classes.index(name)


@dataclass(frozen=True)
class Reference:
    """The annotation of one image.

    Attributes:
        mask: (H, W) class numbers or object ids, as the names say.
        names: What the values mean.
    """

    mask: np.ndarray
    names: ClassNames

    @property
    def ignored(self) -> np.ndarray:
        """(H, W) bool, pixels without annotation."""
        if self.names.ignore is None:
            return np.zeros(self.mask.shape, bool)
        return np.asarray(self.mask == self.names.ignore)


@dataclass(frozen=True)
class Predicted:
    """A model's prediction of one image, on the image's grid, with its reference.

    Attributes:
        name: Name of the image.
        image: (C, H, W) as read, for figures.
        reference: The annotation.
        labels: (H, W) int32 object ids; in semantic predictions, connected regions.
        classes: (H, W) uint8, the likeliest class of each pixel.
        probabilities: (K, H, W) float32 of the image as it came, summing to 1 over classes.
        views: (K, H, W) float32, mean over the eight flips and quarter turns; the image as it came alone where nothing
            that is scored looks at views.
        tta: (H, W) disagreement between these views; None where only one was made.
        ensemble: (H, W) disagreement between networks; None for a single network.
        view_labels: (H, W) int32 object ids of what the views say together; None where no views were looked at.
    """

    name: str
    image: np.ndarray
    reference: Reference
    labels: np.ndarray
    classes: np.ndarray
    probabilities: np.ndarray
    views: np.ndarray
    tta: np.ndarray | None = None
    ensemble: np.ndarray | None = None
    view_labels: np.ndarray | None = None


@dataclass(frozen=True)
class Variant:
    """What is scored of a prediction.

    Attributes:
        name: Name in the tables; empty where a protocol has one variant only.
        values: (H, W) object ids where masks hold objects, else class numbers.
        source: The prediction that it was made of; None where only the values are known, as for files on disk.
    """

    name: str
    values: np.ndarray
    source: Predicted | None = None


@dataclass(frozen=True)
class Column:
    """A number that tables show, named by the row that it stands in.

    Attributes:
        metric: `Row.metric`.
        of: `Row.class_or_threshold`; None for every class or threshold that there is. ``{name}`` stands for an
            option of the protocol.
        title: Heading; the metric and its class where empty.
        high_is_good: Whether more is better; None where neither is.
        on_screen: Whether it is among the few that fit a terminal.
        expected: Column of ``images.csv`` that holds an estimate of the same number, ``{of}`` in the place of the row's
            class; empty without.
    """

    metric: str
    of: str | None = ""
    title: str = ""
    high_is_good: bool | None = True
    on_screen: bool = False
    expected: str = ""


class NoOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of a protocol that has none."""


def one_variant(predicted: Predicted, choice: Any, options: Any) -> Iterator[Variant]:
    """The prediction as it is."""
    values = predicted.labels if predicted.reference.names.has_objects else predicted.classes
    yield Variant("", values, predicted)


def choose_nothing(validation: Iterable[Predicted], options: Any) -> None:
    """Nothing is chosen on validation images, which are not even predicted."""


@dataclass(frozen=True)
class Protocol:
    """A file of ``protocols/``, with defaults for what it leaves out.

    Attributes:
        name: Name of the file.
        title: First line of its docstring.
        masks: Kinds of masks that it compares: "instances", "semantic" or both.
        needs_source: Whether it scores probabilities, which files of labels or classes do not hold.
        views: Whether it looks at eight views of an image, which cost eight times as much to predict.
        options_type: Struct of its options.
        choose: What is chosen on validation images; see `choose_nothing`.
        variants: What is scored of one prediction; see `one_variant`.
        count: Counts of one image that are summed over images: (variant, reference, options); without a variant, as if
            nothing had been predicted.
        rows: Rows of the counts of several images: (counts, names, options, group=, seed=).
        describe: The choice in words.
        figures: What each variant adds to the figures of an image.
        columns: What tables show, in this order; the first of them is the headline, by which images are ranked.
        notes: What a reader of the tables must know, a sentence each.
    """

    name: str
    title: str
    masks: tuple[str, ...]
    needs_source: bool
    views: bool
    options_type: type[msgspec.Struct]
    choose: Callable[[Iterable[Predicted], Any], Any]
    variants: Callable[[Predicted, Any, Any], Iterable[Variant]]
    count: Callable[[Variant | None, Reference, Any], Any]
    rows: Callable[..., list[Row]]
    describe: Callable[[Any], str]
    figures: Callable[[Predicted, Sequence[Variant]], Sequence[Captioned]] | None
    columns: tuple[Column, ...]
    notes: tuple[str, ...]

    @property
    def chooses(self) -> bool:
        """Whether validation images are needed."""
        return self.choose is not choose_nothing

    def check_fits(self, description: Description, *, where: str) -> None:
        """Refuse a protocol for masks that it does not compare.

        Args:
            description: What the masks hold.
            where: What says so.

        Raises:
            InputError: It compares objects and the masks hold classes, or the reverse.
        """
        if description.masks in self.masks:
            return
        held, compared = "object ids", "class maps"
        if description.masks == "semantic":
            held, compared = compared, "objects"
        raise InputError(
            f"{where} says that the masks are {held}, and {self.name} compares {compared}; use another protocol, such "
            f"as {'pixel' if description.masks == 'semantic' else 'stardist'}"
        )

    def options(self, values: Mapping[str, Any]) -> Any:
        """Options of their type.

        Raises:
            UsageError: An option is unknown or of the wrong type; those known are named.
        """
        try:
            return msgspec.convert(dict(values), self.options_type)
        except msgspec.ValidationError as error:
            known = ", ".join(self.options_type.__struct_fields__) or "none"
            raise UsageError(f"options of protocol {self.name!r}: {error}; known options: {known}") from error

    def columns_for(self, options: Any) -> tuple[Column, ...]:
        """The columns, with options in the place of their names."""
        values = msgspec.structs.asdict(options)
        return tuple(
            column if column.of is None else _with_class(column, column.of.format(**values)) for column in self.columns
        )


def _with_class(column: Column, of: str) -> Column:
    return replace(column, of=of)


def shown(rows: Sequence[Row], columns: Sequence[Column]) -> dict[str, tuple[Row, Column]]:
    """The pooled rows that columns name: heading → row and column, in the order of the columns.

    A column without a row is left out, so that a protocol may name what only some data have.
    """
    found: dict[str, tuple[Row, Column]] = {}
    for column in columns:
        for row in rows:
            is_named = row.metric == column.metric and column.of in (None, row.class_or_threshold)
            if is_named and row.averaging == "pooled":
                title = column.title if column.title and column.of is not None else row_title(row)
                found.setdefault(title, (row, column))
    return found


def row_title(row: Row) -> str:
    """Metric and class or threshold in words."""
    without = row.class_or_threshold == "mean" and row.background == "excluded"
    return f"{row.metric} {row.class_or_threshold}".strip() + (", no background" if without else "")
