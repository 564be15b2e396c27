"""What malloc does with freed memory, while someone has asked for it."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import fictile.malloc
from fictile.malloc import ALL, FIRST, LAST, MMAP_THRESHOLD, given_back, kept


class Libc:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.threshold, self.trimmed = LAST, 0

    def mallopt(self, option: int, value: int) -> int:
        if option == MMAP_THRESHOLD:
            self.threshold = value
        assert value < 2**31, "mallopt takes an int"
        return 1

    def malloc_trim(self, _: int) -> int:
        self.trimmed += 1
        return 1


@pytest.fixture
def libc(monkeypatch: pytest.MonkeyPatch) -> Iterator[Libc]:
    one: Any = Libc()
    monkeypatch.setattr(fictile.malloc, "_glibc", lambda: one)
    yield one
    assert one.threshold == LAST


def test_bands_have_their_way_inside_of_what_keeps(libc: Libc) -> None:
    with kept():
        assert libc.threshold == ALL
        with given_back():
            assert (libc.threshold, libc.trimmed) == (FIRST, 1)
        assert libc.threshold == ALL
    assert (libc.threshold, libc.trimmed) == (LAST, 2)


def test_two_at_work_do_not_undo_each_other(libc: Libc) -> None:
    first, second = kept(), kept()
    with first:
        second.__enter__()
    assert libc.threshold == ALL, "the other is still at work"
    second.__exit__(None, None, None)


def test_a_failure_leaves_no_trace(libc: Libc) -> None:
    with pytest.raises(RuntimeError), kept(), given_back():
        raise RuntimeError
    assert libc.threshold == LAST


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("0", "0")])
def test_torch_is_asked_for_large_pages_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
) -> None:
    monkeypatch.delenv("THP_MEM_ALLOC_ENABLE", raising=False)
    if before is not None:
        monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", before)
    code = "import sys, os, fictile; print(os.environ['THP_MEM_ALLOC_ENABLE'], 'torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert said.split() == [after, "False"]
