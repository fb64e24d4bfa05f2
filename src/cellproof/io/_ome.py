"""What OME-XML says: its images (positions, wells), the files that hold their planes, sizes and channels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

_PREVIEW = re.compile(r"\b(label|macro|thumbnail|overview|preview|barcode)\b", re.IGNORECASE)


@dataclass(frozen=True)
class OmeImage:
    """One ``Image`` element.

    Attributes:
        name: As the file gives it; may be empty.
        attributes: Of its ``Pixels`` element: sizes of axes, physical sizes and their units.
        channel_names: One a channel, empty where a channel has no name.
        files: Names of the files that hold its planes, in their order; empty for this file alone.
        first_file: The file that holds its first plane; empty for this file.
        own: Whether any of its planes lies in this file.
    """

    name: str
    attributes: dict[str, str]
    channel_names: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    first_file: str = ""
    own: bool = True

    @property
    def is_preview(self) -> bool:
        """Whether its name says that it is a label, macro or thumbnail beside the image."""
        return bool(_PREVIEW.search(self.name.replace("_", " ")))

    @property
    def axes(self) -> tuple[str, tuple[int, ...]]:
        """Letters and lengths of the axes of its planes, slowest first, without rows and columns."""
        letters = "".join(reversed(self.attributes.get("DimensionOrder", "XYZCT")[2:]))
        return letters, tuple(int(self.attributes.get(f"Size{letter}", 1)) for letter in letters)


def parse_ome(xml: str | None, *, file_name: str) -> tuple[OmeImage, ...]:
    """The images that OME-XML describes; none where it is no XML or describes none.

    Args:
        xml: The text.
        file_name: Of the file that it stands in, to tell its own planes from those of other files.
    """
    root = _root(xml)
    if root is None:
        return ()
    own_uuid = root.get("UUID")
    images = []
    for element in root.findall("{*}Image"):
        pixels = element.find("{*}Pixels")
        if pixels is not None:
            images.append(_image(element.get("Name", ""), pixels, own_uuid=own_uuid, file_name=file_name))
    return tuple(images)


def metadata_file(xml: str | None) -> str:
    """Name of the file that holds the metadata, where this one says only that; empty otherwise."""
    root = _root(xml)
    binary = None if root is None else root.find("{*}BinaryOnly")
    return "" if binary is None else binary.get("MetadataFile", "")


def _root(xml: str | None) -> ElementTree.Element | None:
    try:
        return ElementTree.fromstring(xml or "")
    except ElementTree.ParseError:
        return None


def _image(name: str, pixels: Any, *, own_uuid: str | None, file_name: str) -> OmeImage:
    places = []  # of the planes in their order: a file's name, empty for this file
    for data in pixels.findall("{*}TiffData"):
        uuid = data.find("{*}UUID")
        if uuid is None or (own_uuid is not None and uuid.text == own_uuid):
            places.append("")
            continue
        named = uuid.get("FileName", "")
        places.append("" if named.casefold() in ("", file_name.casefold()) else named)
    channels = tuple(
        (channel.get("Name") or channel.get("Fluor") or "").strip() for channel in pixels.findall("{*}Channel")
    )
    return OmeImage(
        name=name,
        attributes=dict(pixels.attrib),
        channel_names=channels if any(channels) else (),
        files=tuple(dict.fromkeys(place for place in places if place)),
        first_file=places[0] if places else "",
        own=not places or "" in places,
    )
