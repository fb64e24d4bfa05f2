"""Fixtures for all tests: where the real data are, and one thread so that tests don't fight for cores."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_interrupts() -> Iterator[None]:
    """Ctrl-C raises, although a shell that starts the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the real annotated sets, from ``$CELLPROOF_DATA`` or beside the checkout; skips where absent."""
    folder = Path(os.environ.get("CELLPROOF_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "dsb2018").is_dir():
        pytest.skip(f"no real data at {folder}; set CELLPROOF_DATA")
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums of one thread are the same each time, and small networks are quicker on one."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
