"""Seconds that the small version of a study takes, by the clock and of the processor.

The clock says little where others work on the machine; of a process with one thread, the seconds of the processor are
what it would take alone.
"""

from __future__ import annotations

import argparse
import os
import resource
from pathlib import Path

from child import run_cellproof
from page import commit

from cellproof.io import write_json


def main() -> None:
    """Carry the study out, and write ``quick.json`` beside its results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--data", type=Path, required=True, help="folder of sets")
    parser.add_argument("--out", type=Path, required=True, help="empty folder of the study")
    arguments = parser.parse_args()
    words = ("reproduce", arguments.recipe, "--data", arguments.data, "--out", arguments.out, "--quick")
    done = run_cellproof(*words)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    measured = {
        "recipe": arguments.recipe,
        "wall_s": done.seconds,
        "processor_s": used.ru_utime + used.ru_stime,
        "peak_bytes": done.peak_bytes,
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
        "load": os.getloadavg()[0],
        "commit": commit(),
        "code": done.code,
    }
    write_json(arguments.out / "quick.json", measured)
    print(measured)


if __name__ == "__main__":
    main()
