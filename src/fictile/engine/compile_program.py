"""Compiles an exported program with torch's compiler, in a process of its own.

`compile_program.py PROGRAM PACKAGE THREADS`. What the compiler holds, says and sets up (memory, messages, workers,
folders) ends with the process. It is run as a file, and imports nothing of Fictile.
"""

import os
import sys
from threading import Thread

import torch


def main(program: str, package: str, threads: int) -> None:
    """Write the package, a file that ends in .pt2, which computes on so many threads of a CPU."""
    from torch._inductor import aoti_compile_and_package, config

    torch.set_num_threads(threads)
    settings = {"compile_threads": 1, "cpp.threads": threads}  # one program is one piece of C++: nothing to share out
    with config.patch(settings), torch.no_grad():
        aoti_compile_and_package(torch.export.load(program), package_path=package)


def end_with_our_parent() -> None:
    """Wait until our input is closed, which the parent never does, and end at once."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    Thread(target=end_with_our_parent, daemon=True).start()
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
