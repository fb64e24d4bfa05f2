"""Several models of one class list become one model file, whose predictions are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from ...checks import InputError, UsageError
from ...instances import needs, with_option
from ...io import read_model, write_model
from ...types import Heads, InstanceOptions, ModelHeader, TrainingRecord

ARCHITECTURE = "ensemble"
"""What the header of a combined file says; its parts name their own."""

_ALIKE = ("classes", "in_channels", "conditions", "unknown", "normalization")
"""What all parts must have in common: they are shown the same pixels, and mean the same by their outputs."""


def combine(paths: Sequence[Path], out: Path, *, name: str = "") -> ModelHeader:
    """Write one model file of several.

    Class probabilities are averaged over the models, each counting alike whatever its number of members. Further
    outputs are those of the first dense model, averaged over the models that have them too; one that another has under
    the same name with other options is left out. Where one is a detector, it proposes objects and the mean
    probabilities shape them (method "shaped"); else objects are made as the first model makes them that can with these
    outputs, so give the one first whose objects are best. The foreground threshold is the mean of the dense models'.
    Each model keeps its own scale and temperature. Nothing is fitted on the whole, so that its
    verdicts rest on pixels.

    Args:
        paths: Model files, at least two.
        out: The new file.
        name: Of the model; the names of the parts where empty.

    Returns:
        The header of the new file.

    Raises:
        UsageError: Fewer than two models.
        InputError: Models of other classes, channels, conditions or normalization; two detectors; or an ensemble.
    """
    if len(paths) < 2:
        raise UsageError(f"an ensemble has at least two models, got {len(paths)}", argument="models")
    read = [read_model(path) for path in paths]
    headers = [header for header, _ in read]
    _check(paths, headers)
    header = _header(headers, name)
    tensors: dict[str, np.ndarray] = {}
    for number, (_, own) in enumerate(read):
        tensors |= {f"part{number}.{tensor}": value for tensor, value in own.items()}
    write_model(out, header, tensors)
    return header


def _check(paths: Sequence[Path], headers: Sequence[ModelHeader]) -> None:
    for path, header in zip(paths, headers, strict=True):
        if header.parts:
            raise InputError(f"{path}: is an ensemble already; give its parts instead")
        for name in _ALIKE:
            own, first = getattr(header, name), getattr(headers[0], name)
            if own != first:
                raise InputError(
                    f"{path}: {name} is {_said(own)}, that of {paths[0]} {_said(first)}; models of one ensemble agree "
                    f"in {', '.join(_ALIKE)}"
                )
    detecting = [path for path, header in zip(paths, headers, strict=True) if header.heads.is_detector]
    if len(detecting) > 1:
        raise InputError(
            f"{detecting[0]} and {detecting[1]} are detectors, of which an ensemble has one; train them as folds of "
            "one model, whose detections are merged"
        )


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _header(headers: Sequence[ModelHeader], name: str) -> ModelHeader:
    dense = [header for header in headers if not header.heads.is_detector]
    detectors = [header for header in headers if header.heads.is_detector]
    kept = [
        head
        for head in dense[0].heads.fields
        if all(head in one.heads.fields or head.name not in one.heads.names for one in dense)
    ]
    fields = (*kept, *(head for one in detectors for head in one.heads.fields))
    first = headers[0]
    return ModelHeader(
        name=name or "+".join(header.name for header in headers),
        description=f"Ensemble of {', '.join(header.name for header in headers)}",
        architecture=ARCHITECTURE,
        heads=Heads(first.heads.classes, fields),
        classes=first.classes,
        colors=first.colors,
        in_channels=first.in_channels,
        channels=first.channels,
        conditions=first.conditions,
        unknown=first.unknown,
        normalization=first.normalization,
        scale=first.scale,
        fit_side_px=first.fit_side_px,
        pixel_size_um=first.pixel_size_um,
        stride_px=first.stride_px,
        receptive_field_px=max(header.receptive_field_px for header in headers),
        members=sum(header.members for header in headers),
        instance=_instance(dense, {head.name for head in fields}, detectors=detectors),
        steps=first.steps if not fields else (),
        training=_training(headers),
        statistics=first.statistics,
        parts=tuple(headers),
    )


def _instance(dense: Sequence[ModelHeader], outputs: set[str], *, detectors: Sequence[ModelHeader]) -> InstanceOptions:
    """How objects are made of the outputs that are left."""
    fitting = [one.instance for one in dense if set(needs(one.instance.method)) <= outputs]
    options = fitting[0] if fitting else with_option(InstanceOptions(), "method", "components")
    for one in detectors:
        score = one.instance.foreground_threshold  # from which on validation kept its detections
        options = msgspec.structs.replace(options, method="shaped", options={"score": score})
    threshold = float(np.mean([one.instance.foreground_threshold for one in dense]))
    return with_option(options, "foreground_threshold", round(threshold, 4))


def _training(headers: Sequence[ModelHeader]) -> TrainingRecord:
    """Where the parts came from, together."""
    records = [header.training for header in headers]

    def joined(values: Sequence[str]) -> str:
        return "; ".join(dict.fromkeys(filter(None, values)))

    return TrainingRecord(
        data=joined([record.data for record in records]),
        license=joined([record.license for record in records]),
        images=max(record.images for record in records),
        steps=sum(record.steps for record in records),
        seconds=sum(record.seconds for record in records),
        cellproof=records[0].cellproof,
    )
