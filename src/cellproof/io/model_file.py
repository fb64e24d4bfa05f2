"""Model files: safetensors with a header of our own. Nothing in them is ever unpickled."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..checks import InputError
from ..types import Heads, ModelHeader, TrustRecord, with_current_keys
from ._decoding import read_start, refusal
from ._json import encode
from ._old_headers import header_of_format_1
from .atomic import write_bytes

_FORMAT_VERSION = 2
_SCALES = (1 / 32, 32.0)
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def write_model(path: str | Path, header: ModelHeader, tensors: Mapping[str, np.ndarray]) -> None:
    """Write one model atomically; the same content gives the same bytes.

    Metrics that are not-a-number are left out: they say nothing, and JSON cannot hold them.

    Args:
        path: Where to, ending in ``.safetensors``.
        header: Everything besides the weights.
        tensors: Weights, name → array of float16, float32 or integers.

    Raises:
        InputError: for a header that would not come back as it is, or a file that cannot be written.
    """
    metrics = {name: value for name, value in header.metrics.items() if not math.isnan(value)}
    header = msgspec.structs.replace(header, metrics=metrics)
    encoded = encode(header, order="deterministic")
    try:
        unchanged = msgspec.json.decode(encoded, type=ModelHeader) == header
    except msgspec.ValidationError as error:
        raise refusal(Path(path), f"the model header has a value that JSON cannot hold ({error}); fix it") from error
    if not unchanged:
        raise refusal(Path(path), "the model header holds values of wrong types; expected those of ModelHeader")
    metadata = {"cellproof": encoded.decode(), "format_version": str(_FORMAT_VERSION)}
    # np.ascontiguousarray would give a single number an axis, and it would not come back as it was.
    contiguous = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    write_bytes(path, _in_fixed_order(save(contiguous, metadata=metadata)))


def read_header(path: str | Path) -> ModelHeader:
    """Read what a model file says besides its weights.

    Raises:
        InputError: one line that begins with the path, for a file that is no model of ours.
    """
    return _read(Path(path), with_tensors=False)[0]


def read_model(path: str | Path) -> tuple[ModelHeader, dict[str, np.ndarray]]:
    """Read a model file.

    Returns:
        The header, and the weights by name as writable arrays.

    Raises:
        InputError: one line that begins with the path, for a file that is no model of ours.
    """
    return _read(Path(path), with_tensors=True)


def model_hash(path: str | Path) -> str:
    """SHA-256 of a model file in hexadecimal.

    Raises:
        InputError: where the file cannot be read.
    """
    path = Path(path)
    read_start(path, 1)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path, *, with_tensors: bool) -> tuple[ModelHeader, dict[str, np.ndarray]]:
    start = read_start(path, 4)
    try:
        with safe_open(str(path), framework="numpy") as file:
            header = _header(path, file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()} if with_tensors else {}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        # Asked only now: the length that a safetensors file begins with may look like a pickle.
        if start.startswith(_PICKLE_STARTS):
            raise refusal(
                path,
                "a pickled or zipped model, which is never opened because it can run code; "
                "expected a .safetensors written by cellproof train",
            ) from error
        raise refusal(
            path, f"no complete safetensors file ({str(error)[:160]}); copy it again or give another model"
        ) from error
    return header, tensors


def _header(path: Path, metadata: Mapping[str, str]) -> ModelHeader:
    if "cellproof" not in metadata:
        raise refusal(
            path, "a safetensors file without CellProof's header; expected a model written by cellproof train"
        )
    version = metadata.get("format_version", "")
    if not version.isdecimal() or int(version) > _FORMAT_VERSION:
        raise refusal(
            path, f"model format {version or 'unknown'}, this version reads up to {_FORMAT_VERSION}; update CellProof"
        )
    try:
        values = with_current_keys(msgspec.json.decode(metadata["cellproof"]))
        header = msgspec.convert(header_of_format_1(values) if int(version) == 1 else values, ModelHeader)
        problem = _out_of_range(header)
    except msgspec.DecodeError as error:
        problem = str(error)
    if problem:
        raise refusal(path, f"the model's header cannot be used ({problem}); update CellProof or train the model anew")
    return header


def _out_of_range(header: ModelHeader) -> str:
    """The first value that no model has, or nothing; what the weights tell is not looked at here."""
    smallest, largest = _SCALES
    low, high = header.normalization.low_percentile, header.normalization.high_percentile
    statistics = header.statistics
    wanted = {
        f"in_channels {header.in_channels}, expected at least 1": header.in_channels >= 1,
        f"stride_px {header.stride_px}, expected at least 1": header.stride_px >= 1,
        f"receptive_field_px {header.receptive_field_px}, expected at least 0": header.receptive_field_px >= 0,
        f"members {header.members}, expected at least 1": header.members >= 1,
        f"{len(header.classes)} class names for {header.heads.classes} classes, expected as many, and at least 2": (
            len(header.classes) == header.heads.classes >= 2
        ),
        _odd_head(header.heads): not _odd_head(header.heads),
        f"{len(header.conditions)} conditions in {header.in_channels} channels, expected at least one of the image": (
            len(header.conditions) < header.in_channels
        ),
        f"temperature {header.temperature}, expected more than 0": 0 < header.temperature < math.inf,
        f"scale {header.scale}, expected {smallest} to {largest}": smallest <= header.scale <= largest,
        "intensity statistics that are not one mean and sd a channel": (
            len(statistics.mean) == len(statistics.sd)
            and len(statistics.mean) in (0, header.in_channels - len(header.conditions))
        ),
        "object diameters that are not three percentiles": len(statistics.object_diameter_px) in (0, 3),
        _odd_trust(header.trust): not _odd_trust(header.trust),
        f"percentiles {low} and {high}, expected 0 ≤ low < high ≤ 100": 0 <= low < high <= 100,
    }
    own = next((problem for problem, holds in wanted.items() if not holds), "")
    return own or next(filter(None, map(_out_of_range, header.parts)), "")


def _odd_trust(trust: TrustRecord | None) -> str:
    """Which numbers of a trust record do not belong together, or nothing."""
    if trust is None:
        return ""
    for name, model in (("objects", trust.objects), ("f1", trust.f1)):
        lengths = [len(values) for values in (model.features, model.mean, model.sd, model.weights)]
        if len(model.bends) not in (0, lengths[0]):
            return f"trust.{name} of {lengths[0]} features with {len(model.bends)} bends"
        if len(set(lengths)) > 1 or not all(sd > 0 for sd in model.sd):
            return (
                f"trust.{name} of {lengths[0]} features with {lengths[1]} means, {lengths[2]} sds, {lengths[3]} weights"
            )
    if len(trust.count_log_ratio) != len(trust.count_features) + 1:
        return f"trust.count_log_ratio of {len(trust.count_log_ratio)}, expected {len(trust.count_features) + 1}"
    statistics = len(trust.kinds[0].mean) if trust.kinds else 0
    for kind in trust.kinds:
        if any(len(mean) != statistics for mean in kind.degraded):
            return f"trust.kinds of {statistics} statistics with degraded means of another number"
        if len(kind.mean) != statistics or len(kind.whitening) != statistics * (statistics + 1) // 2:
            return (
                f"trust.kinds of {len(kind.mean)} statistics and {len(kind.whitening)} numbers of whitening, expected "
                f"{statistics} and {statistics * (statistics + 1) // 2}"
            )
        if not kind.line > 0:
            return f"trust.kinds with the line {kind.line}, expected more than 0"
    if trust.deep is not None:
        features, sds, numbers = (len(own) for own in (trust.deep.mean, trust.deep.sd, trust.deep.directions))
        if not features or sds != features or numbers % features or not all(sd > 0 for sd in trust.deep.sd):
            return (
                f"trust.deep of {features} means, {sds} sds and {numbers} numbers of directions, "
                "expected as many means as sds above 0, and a multiple of them"
            )
    if len(trust.held_out_expected) != len(trust.held_out_true):
        return f"trust of {len(trust.held_out_expected)} expected and {len(trust.held_out_true)} true held-out F1"
    return ""


def _odd_head(heads: Heads) -> str:
    """What is wrong with the outputs besides the classes, or nothing."""
    if len(set(heads.names)) < len(heads.names) or "classes" in heads.names:
        return f"outputs {', '.join(heads.names)}, expected different names, none of them classes"
    for head in heads.fields:
        if head.channels < 1:
            return f"output {head.name} of {head.channels} channels, expected at least 1"
        rest = head.channels - head.probabilities
        if not 0 <= head.probabilities <= head.channels:
            return f"output {head.name} has {head.probabilities} probabilities in {head.channels} channels"
        if head.geometry == "vector" and rest != 2:
            return f"output {head.name} is a vector of {rest} channels, expected 2"
        if head.geometry == "rays" and rest % 4:
            return f"output {head.name} has {rest} rays, expected a multiple of 4"
        if not 0 < head.unit < math.inf:
            return f"output {head.name} in units of {head.unit}, expected more than 0"
    return ""


def _in_fixed_order(data: bytes) -> bytes:
    """The same file with the metadata in alphabetical order; the library's order differs from run to run."""
    length = int.from_bytes(data[:8], "little")
    names = json.loads(data[8 : 8 + length])
    names["__metadata__"] = dict(sorted(names["__metadata__"].items()))
    text = json.dumps(names, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + length :]
