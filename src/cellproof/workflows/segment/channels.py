"""The channels of an image that a model is given."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from ...checks import InputError
from ...data.channels import choose_channels
from ...types import Image, ModelHeader

_OTHER_THAN_NUCLEI = re.compile("membrane|cytoplasm|cell|neurite|axon|dendrite|gland|mitochond|vesicle|actin|fib")
"""What a model may segment that is not seen in a channel of nuclei."""


def with_model_channels(image: Image, header: ModelHeader, *, asked: bool) -> Image:
    """The image with the channels that a model is given, and a note on what was chosen among what.

    Args:
        image: As read.
        header: Of the model.
        asked: Whether its channels are those that the user asked for.

    Raises:
        InputError: The names do not settle it, or not as many were asked for as the model reads.
    """
    names, count = image.channel_names, image.pixels.shape[1]
    reads = header.in_channels - len(header.conditions)
    if asked:
        if count not in (1, reads):
            expected = "one channel" if reads == 1 else f"one channel or {reads}"
            raise InputError(
                f"{image.source}: {count} channels asked for ({', '.join(names)}), the model reads {expected}; choose "
                "one of them",
                argument="channels",
            )
        return image
    try:
        choice = choose_channels(
            names,
            color=image.color,
            in_channels=reads,
            trained_on=header.channels,
            about_nuclei=_is_about_nuclei(header),
        )
    except InputError as error:
        raise error.within(image.source) from error
    if choice.places == tuple(range(count)) and not choice.note:
        return image
    return replace(
        image,
        pixels=np.ascontiguousarray(image.pixels[:, list(choice.places)]),
        channel_names=tuple(names[place] for place in choice.places),
        notes=(*image.notes, choice.note) if choice.note else image.notes,
    )


def _is_about_nuclei(header: ModelHeader) -> bool:
    """Whether a channel of nuclei suits a model: unless its classes name something else and no nuclei."""
    classes = " ".join(header.classes).casefold()
    return "nucle" in classes or not _OTHER_THAN_NUCLEI.search(classes)
