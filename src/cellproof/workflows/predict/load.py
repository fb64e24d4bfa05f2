"""Model files are found, verified, built and given to an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...checks import InputError, UsageError, did_you_mean
from ...inference.engine import Device, Engine, EngineName, Precision, choose_engines
from ...io import model_hash, read_header, read_model
from ...refine import steps_of
from ...types import ModelHeader, Step

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class EngineChoice:
    """What the user asked of the machine."""

    engine: EngineName = "auto"
    precision: Precision = "auto"
    device: Device = "auto"
    threads: int | None = None


@dataclass(frozen=True)
class Model:
    """A model file, ready to run.

    Attributes:
        header: All that the file says.
        hash: SHA-256 of the file.
        engines: One per member.
        path: Of the file.
        parts: Of an ensemble of models, each of them.
    """

    header: ModelHeader
    hash: str
    engines: tuple[Engine, ...]
    path: Path
    parts: tuple[Model, ...] = ()

    def networks(self) -> list[nn.Module]:
        """The networks of the file, one per member, in evaluation mode; engines run copies of them."""
        if self.parts:
            return [network for number in range(len(self.parts)) for network in build_members(self.path, part=number)]
        return build_members(self.path)

    @staticmethod
    def combine(models: Sequence[str | Path], out: Path, *, name: str = "") -> ModelHeader:
        """Write one model file of several; see `combine`.

        Args:
            models: Names, files or folders of training runs, at least two.
            out: The new file.
            name: Of the new model; the names of its parts where empty.

        Raises:
            InputError: There is none of a name, or models that cannot be one ensemble.
        """
        from .combine import combine

        return combine([find_model(model) for model in models], out, name=name)

    def with_steps(self, steps: Sequence[Step] | None) -> Model:
        """The model with other repairs of its class maps than its file names.

        Args:
            steps: In their order; empty for none, None for those of the file.

        Raises:
            InputError: No such step or option, classes that do not allow it, or a model that tells objects apart.
        """
        return replace(self, header=msgspec.structs.replace(self.header, steps=steps_of(self.header, steps)))


def model_names() -> list[str]:
    """Models that come with the package.

    Example:
        >>> model_names()
        ['nuclei']
    """
    folder = files("cellproof") / "weights"
    if not folder.is_dir():
        return []
    names = [item.name for item in folder.iterdir()]
    return sorted(name.removesuffix(".safetensors") for name in names if name.endswith(".safetensors"))


def find_model(name_or_file: str | Path) -> Path:
    """File of a model of the package, or the file given.

    Raises:
        UsageError: There is neither.

    Example:
        >>> find_model("nuclei").name
        'nuclei.safetensors'
    """
    if str(name_or_file) in model_names():
        return Path(str(files("cellproof") / "weights" / f"{name_or_file}.safetensors"))
    path = Path(name_or_file)
    if path.is_dir() and (path / "model.safetensors").is_file():
        return path / "model.safetensors"
    if not path.is_file():
        name, known = str(name_or_file), model_names()
        raise UsageError(
            f"no model {name!r}: neither a file nor one of the package's ({', '.join(known) or 'none'})"
            f"{did_you_mean(name, known)}",
            argument="model",
        )
    return path


def load_model(name_or_file: str | Path, choice: EngineChoice | None = None) -> Model:
    """A model and the engines that run it.

    Args:
        name_or_file: A shipped model's name, a ``.safetensors`` file or the folder of a training run.
        choice: What the machine should do; None for the fastest there is.

    Raises:
        InputError: No such model, a file that is none of ours, or a machine that cannot do what was asked.

    Example:
        >>> load_model("nuclei", EngineChoice("torch", "f32", "cpu", threads=1)).header.name
        'nuclei'
    """
    path = find_model(name_or_file)
    header, digest = read_header(path), model_hash(path)
    if not header.parts:
        return _loaded(path, header, digest, choice or EngineChoice(), part=None)
    parts = tuple(
        _loaded(path, own, f"{digest}-{number}", choice or EngineChoice(), part=number)
        for number, own in enumerate(header.parts)
    )
    return Model(header, digest, tuple(engine for one in parts for engine in one.engines), path, parts)


def _loaded(path: Path, header: ModelHeader, digest: str, wanted: EngineChoice, *, part: int | None) -> Model:
    """A model, or a part of an ensemble, with its engines."""
    engines = choose_engines(
        lambda: build_members(path, part=part),
        example_shape=(header.in_channels, 16 * header.stride_px, 16 * header.stride_px),
        engine=_engine_for(header, wanted),
        precision=wanted.precision,
        device=wanted.device,
        threads=wanted.threads,
        cache_key=digest,
        ranges=header.rounding.ranges if header.rounding is not None else (),
    )
    return Model(header, digest, engines, path)


def _engine_for(header: ModelHeader, choice: EngineChoice) -> EngineName:
    """The engine that is asked for; torch for detectors, whose number of outputs depends on the image.

    Raises:
        UsageError: OpenVINO was asked to run a detector.
    """
    if not header.heads.is_detector:
        return choice.engine
    if choice.engine == "openvino":
        raise UsageError(f"model {header.name!r} is a detector, which only torch runs; use engine='torch'")
    return "torch"


def build_members(path: Path, *, part: int | None = None) -> list[nn.Module]:
    """The networks of a model file, in evaluation mode.

    Args:
        path: The file.
        part: Number of the part of an ensemble of models; None for other files.

    Raises:
        InputError: Weights and architecture do not fit.
    """
    import torch

    header, tensors = read_model(path)
    before = "" if part is None else f"part{part}."
    header = header if part is None else header.parts[part]
    members = []
    for number in range(header.members):
        prefix = f"{before}member{number}."
        state = {
            name.removeprefix(prefix): torch.from_numpy(tensor)
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
        module = _build(path, header, {name: tuple(tensor.shape) for name, tensor in state.items()})
        module.load_state_dict(state)
        members.append(module.eval())
    return members


def _build(path: Path, header: ModelHeader, shapes: Mapping[str, tuple[int, ...]]) -> nn.Module:
    """The architecture that a file names, after its weights were found to fit it.

    The names and numbers come from a file that somebody may have been sent: only architectures of the package
    are built, and only after one without memory had weights of the same shapes.
    """
    import torch

    from ... import detectors, models

    room = detectors if header.heads.is_detector else models
    if header.architecture not in room.names():
        raise InputError(
            f"{path}: the architecture {header.architecture!r} is none of the package's ({', '.join(room.names())}), "
            "and code that a model file names is never run; update CellProof or train the model anew"
        )
    channels = {"in_channels": header.in_channels, "out_channels": header.heads.channels}
    try:
        with torch.device("meta"):
            skeleton = room.load(header.architecture, **channels, **header.options)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path}: {header.architecture} cannot be built as the file says ({reason}); train the model anew"
        ) from error
    wanted = {name: tuple(tensor.shape) for name, tensor in skeleton.state_dict().items()}
    for name in sorted(wanted.keys() | shapes.keys()):
        if wanted.get(name) != shapes.get(name):
            raise InputError(
                f"{path}: the weights do not fit {header.architecture}: {name} has shape {shapes.get(name, 'none')}, "
                f"expected {wanted.get(name, 'none')}; copy the file again or train the model anew"
            )
    if header.stride_px != skeleton.stride:
        raise InputError(
            f"{path}: stride_px is {header.stride_px}, {header.architecture} has {skeleton.stride}; "
            "train the model anew"
        )
    built: nn.Module = room.load(header.architecture, **channels, **header.options)
    return built
