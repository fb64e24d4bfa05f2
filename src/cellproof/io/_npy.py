"""NumPy's .npy to a stored array, without unpickling."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.lib import format as npy_format

from ._decoding import check_declared, decoding, refusal
from ._stored import Stored


def read_npy(path: Path) -> Stored:
    """The array of numbers in a .npy file, every axis unknown, without axes of length 1.

    Raises:
        InputError: for objects and texts, and for everything that cannot be read whole.
    """
    with decoding(path, ".npy"):
        with path.open("rb") as file:
            version = npy_format.read_magic(file)
            read_header = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
            if version not in read_header:
                raise refusal(path, f".npy version {version} is not read; save a plain array of numbers")
            shape, _, dtype = read_header[version](file)
            stored_bytes = path.stat().st_size - file.tell()
        if dtype.kind not in "biuf":
            raise refusal(path, f"numbers of type {dtype} are not read; save whole numbers or floats")
        check_declared(path, shape=shape, itemsize=dtype.itemsize, samples=shape[-1] if len(shape) > 2 else 1)
        wanted_bytes = math.prod(shape) * dtype.itemsize
        if stored_bytes < wanted_bytes:
            raise refusal(
                path, f"the file holds {stored_bytes} of {wanted_bytes} bytes; it is incomplete, save or copy it again"
            )
        array = np.asarray(np.load(path, allow_pickle=False))
    if array.squeeze().ndim >= 2:
        array = array.squeeze()
    return Stored(array, "Q" * array.ndim)
