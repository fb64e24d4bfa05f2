"""Seconds that the network of Cellpose 3 takes for one image of H × W pixels: its own package and tiles, warm.

``PEER_PYTHON benchmarks/peers/cellpose_speed.py H W`` prints the median of three runs after one that is not timed. The
network is that of its models cyto, cyto2, cyto3 and nuclei, at their diameter (no image is enlarged or reduced), on the
processor. Weights are random, for speed does not depend on them; flows are not followed, objects not made.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
from cellpose.core import run_net
from cellpose.resnet_torch import CPnet

WIDTHS = [2, 32, 64, 128, 256]
"""Channels of the image and of each level, as in all of its published models."""


def main() -> None:
    """Build, warm up, time, print."""
    rows, columns = map(int, sys.argv[1:])
    network = CPnet(WIDTHS, 3, sz=3, mkldnn=True)
    network.eval()
    image = np.random.default_rng(0).random((1, rows, columns, 2), np.float32)
    times = []
    for _ in range(4):
        start = time.perf_counter()
        run_net(network, image)
        times.append(time.perf_counter() - start)
    print(statistics.median(times[1:]))


if __name__ == "__main__":
    main()
