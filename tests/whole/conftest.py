"""A model whose answers are known beforehand, images for it, and the command line as a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.ndimage import label as label_components

from cellproof.data.targets import heads_of
from cellproof.io import write_model
from cellproof.types import InstanceOptions, ModelHeader

BRIGHT = 10.0
"""Logit of foreground in the brightest pixel of an image; it is -BRIGHT in the darkest."""


@dataclass(frozen=True)
class Outcome:
    """What a command left on the screen.

    Attributes:
        code: Its exit code.
        out: What it wrote to standard output.
        err: The lines that it wrote to standard error.
    """

    code: int
    out: str
    err: list[str]


def threshold_header(**changes: object) -> ModelHeader:
    """Header of the model that takes for an object what is brighter than the middle of the image's range."""
    settings: dict[str, object] = {
        "name": "threshold",
        "architecture": "unet",
        "heads": heads_of(2, ["boundary"]),
        "classes": ("background", "disk"),
        "in_channels": 3,
        "stride_px": 1,
        "receptive_field_px": 2,
        "options": {"depth": 1, "width": 1, "norm": "none"},
        "instance": InstanceOptions(method="components"),
    }
    return ModelHeader(**(settings | changes))  # type: ignore[arg-type]


def threshold_weights() -> dict[str, np.ndarray]:
    """A U-Net of one level that passes the first channel on and puts the threshold at 0.5."""
    first = np.zeros((1, 3, 3, 3), np.float32)
    second = np.zeros((1, 1, 3, 3), np.float32)
    first[0, 0, 1, 1] = second[0, 0, 1, 1] = 1
    return {
        "member0.down.0.body.0.weight": first,
        "member0.down.0.body.0.bias": np.zeros(1, np.float32),
        "member0.down.0.body.2.weight": second,
        "member0.down.0.body.2.bias": np.zeros(1, np.float32),
        "member0.head.weight": np.array([-BRIGHT, BRIGHT, 0], np.float32).reshape(3, 1, 1, 1),
        "member0.head.bias": np.array([BRIGHT / 2, -BRIGHT / 2, -BRIGHT], np.float32),
    }


@pytest.fixture(scope="session")
def write_threshold_model() -> Callable[..., Path]:
    """Write the threshold model to a path, with the header's fields changed as named."""

    def write(path: Path, **changes: object) -> Path:
        write_model(path, threshold_header(**changes), threshold_weights())
        return path

    return write


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory, write_threshold_model: Callable[..., Path]) -> Path:
    """The threshold model on disk."""
    return write_threshold_model(tmp_path_factory.mktemp("model") / "threshold.safetensors")


def draw_disks(rng: np.random.Generator, *, shape: tuple[int, int] = (40, 48)) -> tuple[np.ndarray, np.ndarray]:
    """A noisy uint8 image of bright disks, and their labels in raster order, (H, W) each."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    is_disk = np.zeros(shape, bool)
    for row in range(8, shape[0] - 8, 14):
        for column in range(8, shape[1] - 8, 14):
            radius = rng.uniform(2.5, 5.0)
            is_disk |= (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    picture = np.where(is_disk, 200, 30) + rng.integers(0, 20, shape)
    return picture.astype(np.uint8), label_components(is_disk)[0]


@dataclass(frozen=True)
class Pictures:
    """A folder of good images, and the labels that each must get."""

    folder: Path
    labels: dict[str, np.ndarray]

    @property
    def names(self) -> list[str]:
        return sorted(self.labels)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    """Six small images of different sizes; not to be changed."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(7)
    labels = {}
    for number, shape in enumerate([(40, 48), (33, 61), (64, 30), (50, 50), (24, 40), (41, 37)]):
        picture, truth = draw_disks(rng, shape=shape)
        tifffile.imwrite(folder / f"disks{number}.tif", picture)
        labels[f"disks{number}"] = truth
    return Pictures(folder, labels)


RECIPE = """
name = "tiny"
[data]
in_channels = 1
[model.options]
width = 4
depth = 2
[training]
patch_px = 32
batch = 2
steps = 4
validate_every = 2
warmup = 0.0
precision = "f32"
"""


@dataclass(frozen=True)
class Annotated:
    """A folder to train on, which a test may change, and a recipe that takes a second."""

    folder: Path
    recipe: Path

    def command(self, out: Path) -> list[str]:
        """Words of the training."""
        return ["train", str(self.folder), "--out", str(out), "--recipe", str(self.recipe), "--device", "cpu"]


def annotate(folder: Path) -> Annotated:
    """Six images of disks with masks of two classes; the same ones every time."""
    data, recipe = folder / "disks", folder / "tiny.toml"
    rng = np.random.default_rng(5)
    for part in ("images", "masks"):
        (data / part).mkdir(parents=True)
    for number in range(6):
        picture, truth = draw_disks(rng, shape=(36, 40))
        tifffile.imwrite(data / "images" / f"disks{number}.tif", picture)
        tifffile.imwrite(data / "masks" / f"disks{number}.tif", (truth > 0).astype(np.uint8))
    (data / "dataset.toml").write_text('name = "disks"\nmasks = "semantic"\nclasses = ["ground", "disk"]\n')
    recipe.write_text(RECIPE)
    return Annotated(data, recipe)


@pytest.fixture
def annotated(tmp_path: Path) -> Annotated:
    """Data that the test may change."""
    return annotate(tmp_path)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that `annotated` gives when nothing disturbs it; not to be changed."""
    from cellproof.cli import main

    folder = tmp_path_factory.mktemp("trained")
    assert main(annotate(folder).command(folder / "run")) == 0
    return folder / "run"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Converted networks go to a folder of the tests, which all of them share."""
    monkeypatch.setenv("CELLPROOF_CACHE", str(tmp_path_factory.getbasetemp() / "cellproof-cache"))


@pytest.fixture
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the curves in reports out, which take most of a short run's time."""
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "savefig", lambda self, file, **options: file.write("<svg></svg>"))


@pytest.fixture
def cellproof(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the command line in this process."""
    from cellproof.cli import main

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = ended.code
        out, err = capfd.readouterr()
        return Outcome(0 if code is None else int(code), out, err.splitlines())

    return run
