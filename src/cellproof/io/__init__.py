"""Bytes ⇄ arrays: images, label images, tables and model files, whole or refused in one line."""

from __future__ import annotations

from ._channels import find_channel, list_channels
from ._json import readable
from ._tiff_series import Position, describe_absence
from .atomic import atomic_path, make_folder, remove_leftovers, write_bytes, write_text
from .images import IMAGE_SUFFIXES, Mask, find_images, list_positions, read_image, read_labels, read_mask
from .labels import write_classes, write_difficulty, write_labels
from .lock import folder_lock
from .model_file import model_hash, read_header, read_model, write_model
from .tables import format_json, read_csv, read_json, write_csv, write_json
from .unread import unread_images

__all__ = [
    "IMAGE_SUFFIXES",
    "Mask",
    "Position",
    "atomic_path",
    "describe_absence",
    "find_channel",
    "find_images",
    "folder_lock",
    "format_json",
    "list_channels",
    "list_positions",
    "make_folder",
    "model_hash",
    "read_csv",
    "read_header",
    "read_image",
    "read_json",
    "read_labels",
    "read_mask",
    "read_model",
    "readable",
    "remove_leftovers",
    "unread_images",
    "write_bytes",
    "write_classes",
    "write_csv",
    "write_difficulty",
    "write_json",
    "write_labels",
    "write_model",
    "write_text",
]
