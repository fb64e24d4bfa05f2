from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from cellproof.report.pictures import inline_picture


def test_an_inlined_picture_is_a_jpeg_of_the_said_size_and_colors():
    rgb = np.zeros((50, 100, 3), np.uint8)
    rgb[:, 50:] = (255, 60, 10)
    picture = inline_picture(rgb, max_px=80)
    head, text = picture.source.split(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(text))) as stored:
        assert stored.size == (picture.width, picture.height) == (80, 40)
        assert np.abs(np.asarray(stored)[20, 60].astype(int) - (255, 60, 10)).max() < 8
