"""Fixtures for all tests: where the real data are, and one thread so that tests don't fight for cores."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the real annotated sets, from ``$CELLPROOF_DATA`` or beside the checkout; skips where absent."""
    folder = Path(os.environ.get("CELLPROOF_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "dsb2018").is_dir():
        pytest.skip(f"no real data at {folder}; set CELLPROOF_DATA")
    return folder
