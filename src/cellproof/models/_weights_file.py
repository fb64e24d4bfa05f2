"""Tensors of a foreign weight file, without running anything that the file says.

PyTorch's own files are pickles, and a pickle may call whatever it names. The reader here knows four names, of a
dictionary and of a tensor's place in the file, and answers them with functions of its own; any other is refused
before anything happens. It knows nothing of torch's own reader, whose restricted mode was broken more than once
(CVE-2025-32434, CVE-2026-24747).
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..checks import InputError

_OLD_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""First bytes of files of torch before 1.6: a pickled number."""

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
}


@dataclass(frozen=True)
class _Stored:
    """Numbers in a file: their key, type and count."""

    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True)
class _Placed:
    """A tensor as a view of stored numbers."""

    stored: _Stored
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def holds_weights(path: str | Path) -> bool:
    """Whether a file is a pickled or safetensors file of weights that is no model file of this package."""
    path = Path(path)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return any(name.endswith("/data.pkl") for name in archive.namelist())
        with path.open("rb") as file:
            if file.read(len(_OLD_MAGIC)) == _OLD_MAGIC:
                return True
        with safe_open(str(path), framework="pt") as tensors:
            return "cellproof" not in (tensors.metadata() or {})
    except (OSError, SafetensorError, zipfile.BadZipFile):
        return False


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Name → tensor, of a safetensors file or of a state dict as `torch.save` writes it.

    Raises:
        InputError: The file cannot be read, is damaged, or holds anything but named tensors.
    """
    path = Path(path)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _of_archive(archive)
        with path.open("rb") as file:
            if file.read(len(_OLD_MAGIC)) == _OLD_MAGIC:
                return _of_old_file(file)
        with safe_open(str(path), framework="pt") as tensors:
            return {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    # Whatever a damaged pickle makes of the stack of its reader.
    except (OSError, SafetensorError, zipfile.BadZipFile, pickle.UnpicklingError, EOFError) as error:
        raise InputError(f"{path}: not readable as weights ({str(error)[:160]}); copy it again") from error
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError, OverflowError) as error:
        raise InputError(
            f"{path}: holds no plain state dict ({type(error).__name__}: {str(error)[:120]}); save "
            "`module.state_dict()` alone, or as safetensors"
        ) from error


def _of_archive(archive: zipfile.ZipFile) -> dict[str, Tensor]:
    """Tensors of a file of torch 1.6 and later."""
    index = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
    folder = index.removesuffix("data.pkl")
    order = f"{folder}byteorder"
    if order in archive.namelist() and archive.read(order).strip() != b"little":
        raise InputError("numbers are stored big end first; save it on another machine, or as safetensors")
    with archive.open(index) as file:
        named = _named(_Reader(file).load())
    keys = {placed.stored.key for placed in named.values()}
    return _placed(named, {key: archive.read(f"{folder}data/{key}") for key in keys})


def _of_old_file(file: IO[bytes]) -> dict[str, Tensor]:
    """Tensors of an older file, after its first number: one pickle after another, then the numbers."""
    _Reader(file).load()  # the version of the format
    _Reader(file).load()  # what machine wrote it
    named = _named(_Reader(file).load())
    sizes = {placed.stored.key: placed.stored for placed in named.values()}
    numbers = {}
    for key in _Reader(file).load():
        count = int.from_bytes(file.read(8), "little")
        numbers[key] = file.read(count * sizes[key].dtype.itemsize)
    return _placed(named, numbers)


def _named(values: Any) -> dict[str, _Placed]:
    """What the pickle holds, if it is names and tensors alone."""
    if not isinstance(values, dict):
        raise InputError(f"holds a {type(values).__name__}, expected a state dict: names and tensors")
    for name, value in values.items():
        if not isinstance(name, str) or not isinstance(value, _Placed):
            raise InputError(f"{name!r} is a {type(value).__name__}, expected names and tensors alone")
    return dict(values)


def _placed(named: Mapping[str, _Placed], numbers: Mapping[str, bytes]) -> dict[str, Tensor]:
    """Tensors of numbers as the file places them; each has memory of its own."""
    found = {}
    for name, placed in named.items():
        stored = placed.stored
        raw = numbers[stored.key][: stored.count * stored.dtype.itemsize]
        last = placed.offset + sum((n - 1) * step for n, step in zip(placed.size, placed.stride, strict=True))
        if min((placed.offset, *placed.size, *placed.stride)) < 0 or (0 not in placed.size and last >= stored.count):
            raise InputError(f"{name} lies outside of its numbers; copy the file again")
        if len(raw) != stored.count * stored.dtype.itemsize:
            raise InputError(f"{name} has too few numbers; copy the file again")
        flat = torch.frombuffer(bytearray(raw), dtype=stored.dtype) if raw else torch.empty(0, dtype=stored.dtype)
        found[name] = flat.as_strided(placed.size, placed.stride, placed.offset).clone()
    return found


class _Reader(pickle.Unpickler):
    """A pickle reader for which only dictionaries, numbers, words and the places of tensors exist."""

    def find_class(self, module: str, name: str) -> Any:
        """What a name of the pickle stands for; never the thing itself, but for a dictionary."""
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda stored, offset, size, stride, *_: _Placed(stored, offset, tuple(size), tuple(stride))
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda placed, *_: placed
        raise InputError(
            f"names {module}.{name}, which no plain state dict needs and which is not looked up; save "
            "`module.state_dict()` alone, or as safetensors"
        )

    def persistent_load(self, pid: Any) -> _Stored:
        """The numbers that a tensor is a view of."""
        _, dtype, key, _, count, *_ = pid
        if not isinstance(dtype, torch.dtype):
            raise InputError("numbers of no known type; save it as safetensors")
        return _Stored(str(key), dtype, int(count))
