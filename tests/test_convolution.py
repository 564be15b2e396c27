"""Convolutions with fewer multiplications: the same numbers, only where they pay, and never in the reference mode."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fictile.convolution
from fictile.autoencoder import KL, KLSpec
from fictile.convolution import Conv3x3, DoublingConv3x3, doubled, fast_convolutions, folded, summed, winograd
from fictile.denoiser import UNet, UNetSpec
from fictile.engine import choose_runtime

NEAR = 1e-5  # of the norm


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of all that goes the fast way."""
    shapes: list[tuple[int, ...]] = []

    def noted(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        shapes.append(tuple(x.shape))
        return winograd(x, weight, bias)

    monkeypatch.setattr(fictile.convolution, "winograd", noted)
    return shapes


def apart(one: Tensor, other: Tensor) -> float:
    return ((one.double() - other.double()).norm() / other.double().norm()).item()


@pytest.mark.parametrize("size", [(4, 4), (1, 1), (5, 9), (16, 12), (33, 34)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_is_the_convolution(size: tuple[int, int], bias: bool, layout: torch.memory_format) -> None:
    conv = nn.Conv2d(7, 5, 3, padding=1, bias=bias)
    x = torch.randn(3, 7, *size).to(memory_format=layout)
    with torch.no_grad():
        ours = winograd(x, conv.weight, conv.bias)
        exact = F.conv2d(x.double(), conv.weight.double(), None if conv.bias is None else conv.bias.double(), padding=1)
    assert apart(ours, exact) < NEAR
    assert ours.is_contiguous(memory_format=torch.channels_last)


def test_blocks_of_tiles_and_kernels_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    conv, x = nn.Conv2d(7, 5, 3, padding=1), torch.randn(2, 7, 21, 18)
    with torch.no_grad():
        whole = winograd(x, conv.weight, conv.bias)
        monkeypatch.setattr(fictile.convolution, "BLOCK", 36 * 7 * 4 * 10)  # ten tiles: two rows of five
        monkeypatch.setattr(fictile.convolution, "KERNELS", 36 * 7 * 4 * 2)
        torch.testing.assert_close(winograd(x, conv.weight, conv.bias), whole, rtol=0, atol=1e-5)


def test_it_is_taken_only_where_it_is_wanted_and_pays(taken: list[tuple[int, ...]]) -> None:
    wide, narrow, maps = Conv3x3(192, 192), Conv3x3(192, 64), torch.randn(1, 192, 32, 32)
    with torch.no_grad():
        wide(maps)
        with fast_convolutions():
            narrow(maps)
            wide(maps[:, :, :16, :16])
            Conv3x3(192, 192).double()(maps.double())
            with fast_convolutions(False):
                wide(maps)
            with torch.enable_grad():
                wide(maps)
            assert taken == []
            wide(maps)
            wide(maps.expand(3, -1, -1, -1))
        wide(maps)
    assert taken == [(1, 192, 32, 32), (3, 192, 32, 32)]


def test_networks_answer_the_same(taken: list[tuple[int, ...]]) -> None:
    spec = UNetSpec(widths=(192, 192), layers=1, depth=(0, 1), heads=(2, 2), context_width=16)
    unet, x = UNet(spec), torch.randn(2, spec.in_channels, 32, 32)
    time, context = torch.tensor([500.0, 500.0]), torch.randn(2, 3, 16)
    decoder, z = KL(KLSpec(widths=(192, 192), layers=1)), torch.randn(1, 4, 20, 16)
    with torch.no_grad():
        direct = unet(x, time, context), decoder.decode(z)
        with fast_convolutions():
            fast = unet(x, time, context), decoder.decode(z)
    assert len({shape[-2:] for shape in taken}) > 1
    assert all(apart(one, other) < NEAR for one, other in zip(fast, direct, strict=True))


@pytest.mark.parametrize(("backend", "fast"), [("auto", True), ("reference", False)])
def test_a_machine_says_whether(backend: str, fast: bool, taken: list[tuple[int, ...]]) -> None:
    conv, maps = Conv3x3(192, 192), torch.randn(1, 192, 32, 32)
    with torch.no_grad(), choose_runtime("cpu", "float32", backend).limited():
        conv(maps)
    assert bool(taken) is fast


@pytest.mark.parametrize("size", [(4, 4), (3, 2), (1, 5), (16, 12)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [0, 1])
def test_a_doubled_map_is_convolved_as_it_is(size: tuple[int, int], bias: bool, rows: int) -> None:
    conv, x = nn.Conv2d(7, 5, 3, padding=1, bias=bias), torch.randn(2, 7, size[0] + 2 * (1 - rows), size[1])
    with torch.no_grad():
        ours = folded(x, summed(conv.weight), conv.bias, rows=rows)
        direct = doubled(conv, x, rows=rows)
    larger = F.interpolate(x.double(), scale_factor=2.0)
    exact = conv.double()(larger)
    exact = exact if rows else exact[:, :, 2:-2]
    assert apart(ours, exact) < NEAR
    assert apart(direct, exact) < NEAR


def test_sums_of_weights_are_rounded_once() -> None:
    conv, x = nn.Conv2d(64, 64, 3, padding=1), torch.randn(1, 64, 16, 16)
    with torch.no_grad():
        exact = doubled(conv, x)
        half, given = conv.bfloat16(), x.bfloat16()
        direct, ours = doubled(half, given), folded(given, summed(half.weight), half.bias)
    assert apart(ours, exact) < 1.5 * apart(direct, exact)


def test_doubling_takes_the_fast_way_where_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []

    def noted(x: Tensor, *args: Tensor, rows: int) -> Tensor:
        shapes.append(tuple(x.shape))
        return folded(x, *args, rows=rows)

    monkeypatch.setattr(fictile.convolution, "folded", noted)
    wide, narrow, maps = DoublingConv3x3(192), DoublingConv3x3(64), torch.randn(1, 192, 16, 16)
    with torch.no_grad():
        wide(maps)
        with fast_convolutions():
            wide(maps)
            wide(maps[..., :8])
            narrow(maps[:, :64])
    with fast_convolutions():
        wide(maps)  # which asks for gradients
    assert shapes == [(1, 192, 16, 16)]
