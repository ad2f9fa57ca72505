"""Threads that a process does not wait for when it ends.

Those of ThreadPoolExecutor are joined then, so one that hangs in a library would hang the worker.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, TypeVar

Result = TypeVar("Result")


class DaemonPool:
    """So many threads, which take calls in turn."""

    def __init__(self, threads: int, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def map(self, call: Callable[..., Result], *columns: Iterable[Any]) -> list[Result]:
        """Return the results of calls with the arguments of each row, in their order.

        Raises what the first of them raised that did, when all have ended.
        """
        futures: list[Future[Result]] = []
        for arguments in zip(*columns, strict=True):
            futures.append(Future())
            self._calls.put((futures[-1], partial(call, *arguments)))
        wait(futures)
        return [future.result() for future in futures]

    def close(self) -> None:
        """Let the threads end when they have done what was asked of them; wait for none."""
        for _ in self._threads:
            self._calls.put(None)

    def _run(self) -> None:
        while (asked := self._calls.get()) is not None:
            future, call = asked
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
