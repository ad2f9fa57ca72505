"""Calls are spread over threads that no process waits for."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from worker.runtime.daemon_pool import DaemonPool


def test_results_come_in_the_order_of_their_calls_from_several_threads() -> None:
    pool, both = DaemonPool(2, "pool"), threading.Barrier(2, timeout=10)

    def late(number: int, wait: float) -> tuple[int, str]:
        both.wait()
        time.sleep(wait)
        return number, threading.current_thread().name

    found = pool.map(late, [0, 1], [0.05, 0])
    assert [number for number, _ in found] == [0, 1]
    assert {name for _, name in found} == {"pool-0", "pool-1"}
    pool.close()


def test_what_a_call_raises_is_raised_when_all_have_ended() -> None:
    pool, ended = DaemonPool(2, "pool"), threading.Event()

    def call(fails: bool) -> None:
        if fails:
            raise KeyError("no such thing")
        time.sleep(0.1)
        ended.set()

    with pytest.raises(KeyError):
        pool.map(call, [True, False])
    assert ended.is_set()
    pool.close()


def test_threads_end_after_what_was_asked_of_them() -> None:
    pool = DaemonPool(3, "ending")
    assert pool.map(abs, [-1, -2]) == [1, 2]
    pool.close()
    deadline = time.monotonic() + 10
    while (alive := running("ending")) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive


def running(name: str) -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith(f"{name}-")]


def test_a_process_ends_although_a_call_hangs() -> None:
    script = """
import threading
from worker.runtime.daemon_pool import DaemonPool
pool, begun = DaemonPool(1, "pool"), threading.Event()
def hang():
    begun.set()
    threading.Event().wait()
threading.Thread(target=pool.map, args=(lambda _: hang(), [0]), daemon=True).start()
begun.wait()
pool.close()
"""
    ended = subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
    assert ended.returncode == 0
