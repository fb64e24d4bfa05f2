"""Seconds that StarDist's network takes for one image of H × W pixels: its own package, default configuration, warm.

``PEER_PYTHON benchmarks/peers/stardist_speed.py H W`` prints the median of three runs after one that is not timed.
Weights are random, for speed does not depend on them; objects are not made.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from stardist.models import Config2D, StarDist2D


def main() -> None:
    """Build, warm up, time, print."""
    rows, columns = map(int, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        model = StarDist2D(Config2D(), name="default", basedir=folder)
        image = np.random.default_rng(0).random((1, rows, columns, 1), np.float32)
        # The network halves the image three times: sizes are made to fit, as its package does.
        image = np.pad(image, [(0, 0), (0, -rows % 16), (0, -columns % 16), (0, 0)], mode="reflect")
        times = []
        for _ in range(4):
            start = time.perf_counter()
            model.keras_model.predict_on_batch(image)
            times.append(time.perf_counter() - start)
    print(statistics.median(times[1:]))


if __name__ == "__main__":
    main()
