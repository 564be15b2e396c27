"""The U-Net against diffusers' on the same random weights, and what it refuses."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor

from fictile.denoiser import REFINER, SD15, SD21, SDXL, SSD_1B, VEGA, Added, UNet, UNetSpec, heads_of_width
from fictile.errors import RequestError

SD1_SHAPED = UNetSpec(widths=(16, 32, 32, 32), heads=(4, 4, 4, 4), context_width=24, groups=8)
SD2_SHAPED = UNetSpec(
    widths=(16, 32, 64, 64), heads=(2, 4, 8, 8), context_width=24, groups=8, linear_projection=True, layers=1
)
SDXL_SHAPED = UNetSpec(
    widths=(16, 32, 64),
    depth=(0, 1, 2),
    mid_depth=2,
    heads=(2, 4, 8),
    context_width=24,
    groups=8,
    linear_projection=True,
    added_time_width=6,
    added_width=20 + 6 * 6,
)
REFINER_SHAPED = replace(
    SDXL_SHAPED, widths=(16, 32, 64, 64), depth=(0, 1, 1, 0), mid_depth=1, heads=(2, 4, 8, 8), added_width=20 + 5 * 6
)
SSD_SHAPED = replace(SDXL_SHAPED, depth=(0, 1, 2), mid_depth=0, up_depth=((), (2, 1, 1), (1, 1, 3)))
VEGA_SHAPED = replace(SDXL_SHAPED, depth=(0, 1, 2), mid_depth=0)
SHAPES = pytest.mark.parametrize(
    "spec",
    [
        SD1_SHAPED,
        SD2_SHAPED,
        SDXL_SHAPED,
        replace(SD1_SHAPED, in_channels=9),
        REFINER_SHAPED,
        SSD_SHAPED,
        VEGA_SHAPED,
    ],
    ids=["sd1", "sd2", "sdxl", "inpainting", "refiner", "ssd-1b", "vega"],
)


def twin(spec: UNetSpec) -> Any:
    """diffusers' network of the same spec; its `attention_head_dim` is the number of heads."""
    attended = [d > 0 for d in spec.depth]
    config: dict[str, Any] = {
        "in_channels": spec.in_channels,
        "out_channels": spec.out_channels,
        "block_out_channels": spec.widths,
        "layers_per_block": spec.layers,
        "down_block_types": ["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attended],
        "up_block_types": ["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attended)],
        "transformer_layers_per_block": [*(max(d, 1) for d in spec.depth[:-1]), spec.mid_depth or spec.depth[-1]],
        "attention_head_dim": spec.heads,
        "cross_attention_dim": spec.context_width,
        "use_linear_projection": spec.linear_projection,
        "norm_num_groups": spec.groups,
    }
    if not spec.mid_depth:
        config["mid_block_type"] = "UNetMidBlock2D"
    if spec.up_depth is not None:
        config["reverse_transformer_layers_per_block"] = [list(level) or 1 for level in reversed(spec.up_depth)]
    if spec.added_width is not None:
        config["addition_embed_type"] = "text_time"
        config["addition_time_embed_dim"] = spec.added_time_width
        config["projection_class_embeddings_input_dim"] = spec.added_width
    return UNet2DConditionModel(**config).eval()


def inputs(
    spec: UNetSpec, height: int = 16, width: int = 24, count: int = 3
) -> tuple[Tensor, Tensor, Tensor, Added | None]:
    dice = torch.Generator().manual_seed(5)
    x = torch.randn(count, spec.in_channels, height, width, generator=dice)
    time = torch.tensor([500.25, 0.0, 999.0])[:count]
    context = torch.randn(count, 7, spec.context_width, generator=dice)
    if spec.added_width is None or spec.added_time_width is None:
        return x, time, context, None
    # Where the text ends and the sizes begin does not matter to the network: the refiner's five are six here.
    pooled = torch.randn(count, spec.added_width - 6 * spec.added_time_width, generator=dice)
    return x, time, context, Added(pooled=pooled, sizes=1024 * torch.rand(count, 6, generator=dice))


@SHAPES
@torch.no_grad()
def test_equals_diffusers(spec: UNetSpec) -> None:
    torch.manual_seed(0)
    theirs, ours = twin(spec), UNet(spec)
    ours.load_state_dict(theirs.state_dict())
    x, time, context, added = inputs(spec)
    kwargs = {"text_embeds": added.pooled, "time_ids": added.sizes} if added else None
    expected = theirs(x, time, context, added_cond_kwargs=kwargs).sample
    assert (ours(x, time, context, added) - expected).norm() <= 1e-4 * expected.norm()


@SHAPES
def test_names_and_shapes_are_diffusers(spec: UNetSpec) -> None:
    theirs, ours = twin(spec).state_dict(), UNet(spec).state_dict()
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in theirs.items()}


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        (SD15, 859_520_964),
        (SD21, 865_910_724),
        (SDXL, 2_567_463_684),
        (REFINER, 2_259_526_660),
        (SSD_1B, 1_331_334_404),
        (VEGA, 745_225_604),
    ],
    ids=["sd15", "sd21", "sdxl", "refiner", "ssd-1b", "vega"],
)
def test_parameter_count(spec: UNetSpec, count: int) -> None:
    with torch.device("meta"):
        network = UNet(spec)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@torch.no_grad()
def test_a_batch_equals_single_calls() -> None:
    torch.manual_seed(0)
    network = UNet(SD1_SHAPED)
    x, time, context, _ = inputs(SD1_SHAPED)
    singles = [network(x[i : i + 1], time[i : i + 1], context[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(network(x, time, context), torch.cat(singles), rtol=0, atol=1e-5)


@torch.no_grad()
def test_bfloat16_is_near_float32() -> None:
    torch.manual_seed(0)
    network = UNet(SDXL_SHAPED)
    x, time, context, added = inputs(SDXL_SHAPED)
    exact = network(x, time, context, added)
    half = network.bfloat16()(x.bfloat16(), time, context.bfloat16(), added)
    assert half.dtype == torch.bfloat16
    assert (half.float() - exact).norm() <= 0.05 * exact.norm()


@SHAPES
def test_every_parameter_learns_from_the_first_step(spec: UNetSpec) -> None:
    torch.manual_seed(0)
    network = UNet(spec)
    x, time, context, added = inputs(spec)
    prediction = network(x, time, context, added)
    (prediction - torch.randn_like(prediction)).square().mean().backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    norms = {name: 0.0 if g is None else g.norm().item() for name, g in gradients.items()}
    whole = torch.tensor(list(norms.values())).norm().item()
    assert not {name: norm for name, norm in norms.items() if not 1e-7 * whole < norm < float("inf")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(1, 4, 12, 16)}, "The latent is 16x12 cells and this U-Net takes multiples of 8"),
        ({"x": torch.zeros(1, 16, 16, 16)}, "The latent has 16 channels and this U-Net takes 4"),
        ({"context": torch.zeros(1, 7, 32)}, "The text has 32 features per token and this U-Net takes 24"),
        ({"added": Added(torch.zeros(1, 20), torch.zeros(1, 6))}, "takes no added conditioning and was given one"),
    ],
    ids=["size", "channels", "context", "added"],
)
def test_refuses_what_does_not_fit(change: dict[str, Any], message: str) -> None:
    fitting = {"x": torch.zeros(1, 4, 16, 16), "time": torch.zeros(1), "context": torch.zeros(1, 7, 24), "added": None}
    with pytest.raises(RequestError, match=message):
        UNet(SD1_SHAPED)(**{**fitting, **change})


def test_refuses_a_missing_added_part() -> None:
    x, time, context, _ = inputs(SDXL_SHAPED)
    with pytest.raises(RequestError, match="takes an added conditioning and was given none"):
        UNet(SDXL_SHAPED)(x, time, context)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": (8, 8)}, "4 widths, 4 depths and 2 heads"),
        ({"mid_depth": -1}, "too small"),
        ({"up_depth": ((1,),)}, "on the way up; give a level with attention 3 numbers"),
        ({"heads": (0, 8, 8, 8)}, "too small"),
        ({"depth": (1, 1, 1, -1)}, "too small"),
        ({"groups": 0}, "too small"),
        ({"added_width": 2816}, "give both or neither"),
        ({"groups": 48}, "width 320, 8 heads and 48 groups"),
    ],
)
def test_refuses_numbers_that_make_no_network(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        UNetSpec(**change)


def test_heads_may_be_given_by_their_width() -> None:
    assert heads_of_width((320, 640, 1280, 1280), 64) == (5, 10, 20, 20)
    with pytest.raises(RequestError, match="do not fill the widths"):
        heads_of_width((320, 640), 48)
