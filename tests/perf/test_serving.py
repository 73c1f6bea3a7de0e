"""Memory of a server's processes, measured on processes whose memory is known."""

import subprocess
import sys
import time

from perf.instruments.serving import Server

MEGABYTES = 40
CHILD = """
import sys
block = bytearray(int(sys.argv[1]) * 2**20)
print("ready", flush=True)
input()
"""
PARENT = f"""
import subprocess, sys
child = [sys.executable, "-c", {CHILD!r}, sys.argv[2]]
with subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
    process.stdout.readline()
    block = bytearray(int(sys.argv[1]) * 2**20)
    print("ready", flush=True)
    input()
    process.communicate("")
"""


def megabytes(parents: int, childs: int) -> float:
    """The private memory of a process that holds so many MiB, as its child does."""
    command = [sys.executable, "-c", PARENT, str(parents), str(childs)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        held = Server("", process.pid, time.perf_counter()).private_bytes()
        process.communicate("\n")
    return held / 2**20


def test_memory_is_of_the_server_and_of_all_that_it_started() -> None:
    empty = megabytes(1, 1)
    assert 2 < empty < 100
    for parents, childs in ((MEGABYTES, 1), (1, MEGABYTES)):
        assert abs(megabytes(parents, childs) - empty - MEGABYTES + 1) < 4
