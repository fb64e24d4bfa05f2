"""Files that hold images in formats that are not read."""

from __future__ import annotations

from pathlib import Path

MAKERS_SUFFIXES = (".czi", ".nd2", ".lif", ".lsm", ".oib", ".oif", ".vsi", ".mrxs", ".ims", ".dv")
"""Endings, in lower case, of the formats of microscopes' makers."""

_SUFFIXES = (*MAKERS_SUFFIXES, ".zarr", ".zvi", ".scn", ".bif", ".gif", ".jp2", ".heic", ".h5", ".hdf5", ".mrc")


def unread_images(folder: Path) -> list[Path]:
    """Images of a folder that `find_images` leaves out, as their format is not read, by name.

    Example:
        >>> unread_images(Path(__file__).parent)
        []
    """
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    )
