"""What the C library does with freed memory, in a process of its own, for settings outlast a test."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAPS = """
import ctypes, sys, threading
from cellproof.training.allocator import keep_freed_memory

if sys.argv[1] == "kept" and not keep_freed_memory():
    print("no glibc")
    raise SystemExit
libc = ctypes.CDLL("libc.so.6")
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
both = threading.Barrier(4)

def take_and_free():
    both.wait()
    block = libc.malloc(1 << 22)
    ctypes.memset(block, 1, 1 << 22)
    both.wait()
    libc.free(block)
    both.wait()

threads = [threading.Thread(target=take_and_free) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.fopen.restype, libc.fopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_char_p]
libc.malloc_info.argtypes, libc.fclose.argtypes = [ctypes.c_int, ctypes.c_void_p], [ctypes.c_void_p]
stream = libc.fopen(sys.argv[2].encode(), b"w")
libc.malloc_info(0, stream)
libc.fclose(stream)
resident = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
print(open(sys.argv[2]).read().count("<heap nr="), resident.split()[1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is the GNU C library's")
def test_threads_share_one_heap_which_keeps_what_they_free(tmp_path):
    def heaps_and_resident_kb(way):
        command = [sys.executable, "-c", HEAPS, way, str(tmp_path / "heaps.xml")]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        if said.strip() == "no glibc":
            pytest.skip("another C library than GNU's, which has no mallopt: nothing is set there")
        heaps, resident = said.split()
        return int(heaps), int(resident)

    heaps, resident = heaps_and_resident_kb("kept")
    usual_heaps, usual_resident = heaps_and_resident_kb("as it is")

    assert heaps == 1
    assert usual_heaps > 1  # otherwise this test would show nothing
    assert resident - usual_resident > 12 * 1024  # four blocks of 4 MiB, freed
