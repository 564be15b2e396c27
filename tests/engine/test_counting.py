"""What is counted on the meta device, beside what is known of it."""

import torch
from torch import nn
from torch.nn import functional as F

from fictile.engine import Work, count
from fictile.engine.counting import GAPS, HEAP, SOFTMAX, taken

MIB = 2**20


def meta(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


def test_only_what_is_alive_at_once_counts() -> None:
    x = meta(64 * MIB)  # 256 MiB, above what the heap deals out

    def one_after_the_other() -> None:
        for _ in range(5):
            x.add(1)

    assert count(one_after_the_other).memory == 256 * MIB
    assert count(lambda: (x + 1) + 1).memory == 2 * 256 * MIB


def test_what_was_given_and_views_of_it_cost_nothing() -> None:
    x = meta(64, 64)
    assert count(lambda: x.view(-1)[:10].view(2, 5).mT) == Work()
    assert count(lambda: x.add_(1)).memory == 0


def test_a_view_keeps_what_it_shows() -> None:
    x = meta(64 * MIB)

    def keep_a_corner() -> torch.Tensor:
        corner = (x + 1)[:1]
        return torch.cat([x, corner]) + 1

    assert 3 * 256 * MIB <= count(keep_a_corner).memory < 3 * 256 * MIB + MIB


def test_operations_are_those_of_the_formulas() -> None:
    tokens, weight = meta(2, 10, 8), meta(5, 8)
    assert count(lambda: F.linear(tokens, weight)).matrix == 2 * 20 * 8 * 5
    picture, kernel = meta(2, 3, 16, 16), meta(7, 3, 3, 3)
    assert count(lambda: F.conv2d(picture, kernel, padding=1)).convolution == 2 * 2 * 16 * 16 * 7 * 3 * 9
    heads = meta(1, 2, 12, 4)
    assert count(lambda: F.scaled_dot_product_attention(heads, heads, heads)).attention == 2 * 2 * 2 * 12 * 12 * (
        4 + SOFTMAX
    )


def test_attention_never_holds_its_scores() -> None:
    heads = meta(1, 1, 4096, 8)  # scores would be 64 MiB
    work = count(lambda: F.scaled_dot_product_attention(heads, heads, heads))
    assert work.memory < MIB


def test_a_convolution_lays_its_weights_anew() -> None:
    picture, kernel, point = meta(1, 512, 2, 2), meta(512, 512, 3, 3), meta(512, 512, 1, 1)
    out = 512 * 4 * 4
    assert count(lambda: F.conv2d(picture, kernel, padding=1)).memory == taken(kernel.nbytes) + taken(out)
    assert count(lambda: F.conv2d(picture, point)).memory == taken(out)


def test_channels_last_stays_so_through_a_group_norm() -> None:
    picture = meta(1, 8, 64, 64).contiguous(memory_format=torch.channels_last)
    norm = nn.GroupNorm(2, 8, device="meta")
    assert count(lambda: norm(picture)).memory == taken(picture.nbytes)


def test_what_the_system_has_to_give_is_counted_apart() -> None:
    small, large = meta(HEAP // 4), meta(HEAP // 4 + 1)
    assert count(lambda: (small + small, large + large)).fresh == large.nbytes


def test_small_blocks_take_gaps_along() -> None:
    assert (taken(HEAP), taken(HEAP + 1)) == (GAPS * HEAP, HEAP + 1)


def test_work_adds_up_and_memory_does_not() -> None:
    one, two = Work(memory=5, matrix=3, calls=1), Work(memory=7, matrix=4, touched=2, calls=1)
    assert one + two == Work(memory=7, matrix=7, touched=2, calls=2)
    assert two * 3 == Work(memory=7, matrix=12, touched=6, calls=3)
