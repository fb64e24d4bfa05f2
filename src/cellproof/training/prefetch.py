"""Batches made in a thread while the network computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from .batch import Batch


@contextmanager
def prefetch(batch_at: Callable[[int], Batch], first: int, last: int, *, ahead: int = 2) -> Iterator[Iterator[Batch]]:
    """Batches of the steps ``first``…``last``-1, in this order, up to ``ahead`` of them made before they are asked for.

    Leaving the context, also by an exception or Ctrl-C, waits for the batch in the making only.

    Args:
        batch_at: Makes the batch of a step; what it raises is raised where that batch is asked for.
        first: First step.
        last: Step after the last.
        ahead: At least 1.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as pool:
        waiting = [pool.submit(batch_at, step) for step in range(first, min(last, first + ahead))]

        def batches() -> Iterator[Batch]:
            for step in range(first, last):
                batch = waiting.pop(0).result()
                if step + ahead < last:
                    waiting.append(pool.submit(batch_at, step + ahead))
                yield batch

        try:
            yield batches()
        finally:
            for future in waiting:
                future.cancel()
