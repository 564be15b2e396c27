"""Leaving out work: what runs, what it runs on, and that all of it is still the network."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fictile.denoiser import (
    SPEEDS,
    CachedSteps,
    Conditioning,
    Denoiser,
    Guidance,
    Speed,
    Turns,
    UNet,
    UNetSpec,
    guide,
    speed_of,
)
from fictile.errors import RequestError
from fictile.schedule import Level

LEVELS = [Level(alpha=1 - sigma, sigma=sigma, time=1000 * sigma) for sigma in (0.8, 0.6, 0.4, 0.2)]

Texts = tuple[Conditioning, Conditioning]


def middles(network: UNet) -> list[int]:
    """Fills itself with the batch size of each run of the network's middle."""
    runs: list[int] = []

    def note(_: object, inputs: tuple[Tensor, ...]) -> None:
        runs.append(len(inputs[0]))

    network.mid_block.register_forward_pre_hook(note)
    return runs


@pytest.mark.parametrize("layers", [1, 2, 9])
def test_on_what_it_has_just_seen_the_shallow_part_gives_the_whole_answer(tiny: UNet, layers: int) -> None:
    x, shifts, text = torch.randn(2, 4, 8, 8), tiny.shifts(torch.tensor([500.0])), tiny.read(torch.randn(2, 5, 6))
    runs = middles(tiny)
    steps = CachedSteps(tiny, Speed(every=2, layers=layers))
    whole, shallow = steps(x, shifts, text), steps(x, shifts, text)
    assert runs == [2]
    assert whole.equal(tiny(x, shifts, text))
    torch.testing.assert_close(shallow, whole)


def test_works_where_the_finest_level_attends() -> None:
    network = UNet(UNetSpec(widths=(8, 16), layers=2, depth=(1, 0), heads=(2, 2), context_width=6, groups=4)).eval()
    x, shifts, text = torch.randn(1, 4, 8, 8), network.shifts(torch.tensor([500.0])), network.read(torch.randn(1, 5, 6))
    steps = CachedSteps(network, Speed(every=2, layers=2))
    torch.testing.assert_close(steps(x, shifts, text), steps(x, shifts, text))


def test_one_of_so_many_evaluations_is_whole_and_so_is_the_first_of_another_size(
    denoiser: Denoiser, texts: Texts, noise: Tensor
) -> None:
    runs = middles(denoiser.network)
    cached = replace(denoiser, step=CachedSteps(denoiser.network, Speed(every=2, layers=1)))
    for interval, expected in [((0.0, 1.0), [4, 4]), ((0.5, 1.0), [4, 2])]:
        runs.clear()
        denoise = guide(cached, *texts, Guidance(interval=interval), LEVELS)
        for level in LEVELS:
            denoise(noise, level)
        assert runs == expected


def test_whole_evaluations_may_be_closer_together_at_first() -> None:
    turns = Turns(Speed(every=5, layers=1, first=2))
    assert [number for number in range(20) if turns.is_whole(2)] == [0, 2, 7, 12, 17]
    turns = Turns(Speed(every=3, layers=1, first=1))
    rows = [2, 2, 2, 1, 1, 1, 1]
    assert [number for number, each in enumerate(rows) if turns.is_whole(each)] == [0, 1, 3, 6]


def test_groups_take_turns_and_remember_apart(tiny: UNet) -> None:
    shifts, text = tiny.shifts(torch.tensor([500.0])), tiny.read(torch.randn(1, 5, 6))
    groups = [torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8), torch.randn(1, 4, 8, 8)]
    together = CachedSteps(tiny, Speed(every=2, layers=1), len(groups))
    alone = [CachedSteps(tiny, Speed(every=2, layers=1)) for _ in groups]
    runs = middles(tiny)
    for expected in ([2, 2, 1], [], [2, 2, 1]):
        runs.clear()
        made = [together(x, shifts, text) for x in groups]
        assert runs == expected
        for step, x, one in zip(alone, groups, made, strict=True):
            assert one.equal(step(x, shifts, text))


def test_an_unknown_speed_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="no speed 'ludicrous': choose exact, fast, faster, fastest"):
        speed_of("ludicrous")
    assert list(SPEEDS) == ["exact", "fast", "faster", "fastest"]
