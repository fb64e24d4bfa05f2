from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cellproof.checks import InputError
from cellproof.io import folder_lock

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no advisory locks")


def test_a_lock_is_held_once_and_free_again_after_it(tmp_path):
    with (
        folder_lock(tmp_path / "lock"),
        pytest.raises(InputError, match="another process is writing in this folder"),
        folder_lock(tmp_path / "lock"),
    ):
        pass
    with folder_lock(tmp_path / "lock"):
        assert (tmp_path / "lock").exists()


def test_a_killed_process_leaves_no_lock(tmp_path):
    code = (
        "import os, signal, sys; from cellproof.io import folder_lock\n"
        "with folder_lock(sys.argv[1]): os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", code, tmp_path / "lock"], check=False)
    assert ended.returncode == -9
    with folder_lock(tmp_path / "lock"):
        assert (tmp_path / "lock").exists()


def test_a_lock_in_a_folder_that_is_missing_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be written"), folder_lock(tmp_path / "missing" / "lock"):
        pass
