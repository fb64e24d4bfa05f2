"""Weights and header become one model file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...io import write_model
from ...types import ModelHeader

if TYPE_CHECKING:
    from torch import Tensor

MODEL_FILE = "model.safetensors"


def write_trained(
    path: Path, header: ModelHeader, members: Sequence[Mapping[str, Tensor]], *, half_precision: bool
) -> None:
    """Write a model of these members, its weights as 16-bit floats if so wanted.

    Raises:
        InputError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> import torch
        >>> from cellproof.types import Heads
        >>> header = ModelHeader("m", "unet", Heads(2), ("ground", "cell"), 1, 1, 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_trained(Path(folder) / "m.safetensors", header, [{"w": torch.zeros(3)}], half_precision=True)
        ...     [path.name for path in Path(folder).iterdir()]
        ['m.safetensors']
    """
    tensors = {
        f"member{number}.{name}": _stored(value, half_precision).cpu().contiguous().numpy()
        for number, member in enumerate(members)
        for name, value in member.items()
    }
    write_model(path, header, tensors)


def _stored(value: Tensor, half_precision: bool) -> Tensor:
    return value.half() if half_precision and value.is_floating_point() else value
