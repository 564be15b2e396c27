"""Many small jobs of torch, each in one thread, instead of one after the other in all threads.

Reading a tensor, converting it and being given its memory by the system are three jobs that keep one core busy each; a
second thread does the first while the other does the next.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

A = TypeVar("A")
B = TypeVar("B")

MOST = 4  # threads; more of them wait for the memory


def side_by_side(job: Callable[[A], B], items: Iterable[A]) -> list[B]:
    """The result of each item, in their order, by as many threads as torch has, up to MOST.

    What one raises is raised; the jobs that have not begun by then are left out.
    """
    threads = torch.get_num_threads()
    if threads == 1:  # handing each item to another thread costs as much as building a small network
        return [job(item) for item in items]
    pool = ThreadPoolExecutor(min(threads, MOST), initializer=torch.set_num_threads, initargs=(1,))
    try:
        return list(pool.map(job, items))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # what a thread sets becomes what new ones begin with
