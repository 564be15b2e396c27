import threading

import pytest
import torch

from fictile.checkpoint.side_by_side import side_by_side


def test_results_keep_the_order_of_their_items_and_torch_its_threads() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = side_by_side(lambda item: (item, torch.get_num_threads(), threading.get_ident()), range(40))
        assert [item for item, _, _ in found] == list(range(40))
        assert {inside for _, inside, _ in found} == {1}
        assert threading.get_ident() not in {thread for _, _, thread in found}
        assert torch.get_num_threads() == 2
        fresh = list[int]()
        thread = threading.Thread(target=lambda: fresh.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert fresh == [2]
    finally:
        torch.set_num_threads(threads)


def test_what_fails_is_raised_and_the_rest_is_left_out() -> None:
    done = list[int]()

    def job(item: int) -> None:
        if item == 3:
            raise OSError("three")
        done.append(item)

    with pytest.raises(OSError, match="three"):
        side_by_side(job, range(100_000))
    assert len(done) < 100_000
