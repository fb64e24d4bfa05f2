"""`cellproof.load_model`: a model, loaded once for many images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...types import Step
from ..predict import EngineChoice
from ..predict import Model as LoadedModel
from ..predict import load_model as load
from .array import Diameter, segment
from .result import Segmentation

if TYPE_CHECKING:
    from ...inference.engine import Device, EngineName, Precision


@dataclass(frozen=True, repr=False)
class Model(LoadedModel):
    """A model file, ready to segment images.

    Attributes:
        header: All that the file says.
        hash: SHA-256 of the file.
        engines: One per member.
        path: Of the file.

    Example:
        >>> import cellproof
        >>> model = cellproof.load_model("nuclei", threads=1)
        >>> model.header.classes
        ('background', 'nucleus')
    """

    def __repr__(self) -> str:
        """One line: name, classes, and what runs it."""
        engine = self.engines[0]
        classes = ", ".join(self.header.classes)
        return f"<Model {self.header.name}: {classes}; {engine.name} {engine.precision} on {engine.device}>"

    def segment(
        self,
        image: np.ndarray | str | Path,
        *,
        axes: str | None = None,
        channels: int | str | Sequence[int | str] | None = None,
        diameter_px: Diameter = None,
        tta: bool | Literal["auto"] = "auto",
        steps: Sequence[str | Step] | None = (),
        condition: str = "",
        promise: float | tuple[float, float] | None = None,
        max_memory: str | int | None = None,
    ) -> Segmentation:
        """Segment one image with this model; the arguments are those of `cellproof.segment`.

        Raises:
            InputError: As `cellproof.segment`.

        Example:
            >>> import numpy as np
            >>> import cellproof
            >>> model = cellproof.load_model("nuclei", threads=1)
            >>> model.segment(np.zeros((32, 40))).quality.count
            0
        """
        return segment(
            image,
            self,
            axes=axes,
            channels=channels,
            diameter_px=diameter_px,
            tta=tta,
            steps=steps,
            condition=condition,
            promise=promise,
            max_memory=max_memory,
        )


def load_model(
    name: str | Path,
    *,
    device: Device = "auto",
    engine: EngineName = "auto",
    precision: Precision = "auto",
    threads: int | None = None,
) -> Model:
    """Load a model and the engines that run it.

    Args:
        name: Name of a shipped model, a ``.safetensors`` file or the folder of a training run.
        device: "auto", "cpu", "cuda" or "mps".
        engine: "auto", "torch" or "openvino"; auto takes the fastest.
        precision: Arithmetic of the network: "auto", "f32", "bf16" or "int8".
        threads: Processor threads; None for all cores.

    Raises:
        InputError: No such model, not a CellProof model file, or a machine that cannot do what was asked.

    Example:
        >>> import cellproof
        >>> cellproof.load_model("nuclei", engine="torch", precision="f32", device="cpu", threads=1)
        <Model nuclei: background, nucleus; torch f32 on cpu>
    """
    loaded = load(name, EngineChoice(engine, precision, device, threads))
    return Model(**{field.name: getattr(loaded, field.name) for field in fields(loaded)})
