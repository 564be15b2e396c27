"""Mixing: two latents of one space become one. docs/mixing.md shows what each way does to pictures.

Two pictures are mixed picture by picture and channel by channel. Each function takes latents of one space and one size,
a batch of each or one for many; it computes in float32 and answers in the precision of the first.

The mean of two unrelated latents has half of their variance, and a decoder makes a grey and soft picture of it.
`blend`, `composite` and `place` give the variance back. With m and v for a channel's mean and variance, c for the
covariance of the two, and w for the share of b, the mixed channel (1-w) a + w b has the variance
(1-w)^2 va + w^2 vb + 2 w (1-w) c. Its distance from (1-w) ma + w mb is scaled so that this becomes (1-w) va + w vb.
"""

import math
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from fictile.errors import RequestError
from fictile.latent.latent import Latent

NOTHING_LEFT = 1e-6  # of the variance: what lies below was cancelled, and rounding alone would be scaled up

Batch = Float[Tensor, "#b c h w"]


def lerp(a: Latent, b: Latent, weight: float = 0.5) -> Latent:
    """The straight line from a (weight 0) to b (weight 1): the plain average, which loses variance on the way.

    Raises RequestError for a weight outside 0 to 1, and for latents that do not fit together; as all functions here do.
    """
    _check_share("weight", weight)
    return _pair(a, b, lambda a, b: torch.lerp(a, b, weight))


def slerp(a: Latent, b: Latent, weight: float = 0.5) -> Latent:
    """The great circle from a to b around zero, its radius going evenly from the length of one to that of the other.

    A latent is one long vector to it (Shoemake 1985, "Animating Rotation with Quaternion Curves", section 3.3). It
    keeps the length, and so the variance of all channels together where their means are 0, as those of noise are.
    Opposite latents have no one shortest way between them and are refused.
    """
    _check_share("weight", weight)

    def around(a: Batch, b: Batch) -> Batch:
        a, b = torch.broadcast_tensors(a, b)
        one, other = _length(a), _length(b)
        one_way, other_way = a / one.clamp_min(1e-12), b / other.clamp_min(1e-12)
        angle = 2 * torch.atan2(_length(one_way - other_way), _length(one_way + other_way))
        if (angle > math.pi - 1e-3).any():
            raise RequestError(
                "The two latents are opposites, and no great circle leads from one to the other; mix them with blend."
            )
        close = angle < 1e-4  # a circle so large is a line
        turn = torch.sin(torch.where(close, 1.0, angle))
        way = torch.where(
            close,
            torch.lerp(one_way, other_way, weight),
            (torch.sin((1 - weight) * angle) * one_way + torch.sin(weight * angle) * other_way) / turn,
        )
        return way * torch.lerp(one, other, weight)

    return _pair(a, b, around)


def blend(a: Latent, b: Latent, weight: float = 0.5) -> Latent:
    """`lerp` with its variance given back: mean and variance of each channel lie evenly between those of a and b.

    A channel in which the two cancel out to nothing stays without variance.
    """
    _check_share("weight", weight)
    return _pair(a, b, lambda a, b: _blended(a, b, a.new_full((1, 1, 1, 1), weight)))


def transfer(a: Latent, b: Latent, weight: float = 1.0) -> Latent:
    """a with the mean and the standard deviation of each channel moved towards those of b, entirely at weight 1.

    Adaptive instance normalisation (arXiv 1703.06868, equation 8) on latents: colours and contrast of b, shapes of a.
    The two may differ in size.
    """
    _check_share("weight", weight)
    a.check(b.space)
    if len(b) not in {1, len(a)}:
        raise RequestError(f"{len(b)} latents met {len(a)}; give as many of one as of the other, or one to take from.")
    own, other = a.data.float(), b.data.float()
    std, mean = torch.std_mean(own, (2, 3), correction=0, keepdim=True)
    new_std, new_mean = torch.std_mean(other, (2, 3), correction=0, keepdim=True)
    scale = torch.where(std > 0, torch.lerp(std, new_std, weight) / std.clamp_min(1e-12), 1.0)
    return a.with_data(((own - mean) * scale + torch.lerp(mean, new_mean, weight)).to(a.data.dtype))


def exchange(a: Latent, b: Latent, radius: float = 32.0) -> Latent:
    """The coarse of a and the fine of b: what a Gaussian of `radius` pixels leaves of a, and takes away from b."""
    if not (math.isfinite(radius) and radius > 0):
        raise RequestError(f"The radius is {radius}; give a length in pixels above 0, such as 32.")
    cells = radius / a.space.factor
    return _pair(a, b, lambda a, b: _smooth(a, cells) + b - _smooth(b, cells))


def composite(a: Latent, b: Latent, mask: Float[Tensor, "h w"], *, feather: float = 0.0) -> Latent:
    """b where the mask is 1, a where it is 0, and a blend that keeps its variance between.

    Args:
        mask: in [0, 1], of the size of the picture or with one value for each latent cell.
        feather: pixels over which one goes over into the other, half of them on each side of the mask's edge; cells
            that lie further away are those of a or b, bit for bit.

    Raises RequestError for a mask of another size or out of its range.
    """
    _check_feather(feather)
    share = _cells(mask, a)
    if feather:
        cells = feather / 2 / a.space.factor
        share = _smooth(share.double(), cells / 2, reach=cells).float()  # 1 stays 1, which float32 would not promise
    return _pair(a, b, lambda a, b: _blended(a, b, share.to(a.device)))


def place(a: Latent, b: Latent, at: tuple[int, int], *, feather: float = 0.0) -> Latent:
    """a with b, which is no larger, laid onto it.

    Args:
        at: top and left of b in the picture of a, in pixels: multiples of the space's factor.
        feather: pixels inside the edge of b over which it grows out of a; not along an edge that it shares with a.

    Raises RequestError when b does not fit in there.
    """
    _check_feather(feather)
    a.check(b.space)
    factor, (height, width), (rows, columns) = a.space.factor, a.data.shape[2:], b.data.shape[2:]
    top, left = at
    if top % factor or left % factor:
        near = [round(side / factor) * factor for side in at]
        raise RequestError(
            f"The place is {left},{top} (from the left, from the top), but cells of {a.space} are {factor} pixels "
            f"wide; choose {near[1]},{near[0]}."
        )
    top, left = top // factor, left // factor
    if top < 0 or left < 0 or top + rows > height or left + columns > width:
        raise RequestError(
            f"A latent of {columns * factor}x{rows * factor} pixels at {at[1]},{at[0]} (from the left, from the top) "
            f"does not lie within one of {width * factor}x{height * factor}; move it, or take a smaller picture."
        )
    ways = [
        _ramp(size, feather / factor, before > 0, before + size < whole)
        for size, before, whole in ((rows, top, height), (columns, left, width))
    ]
    share = torch.outer(*ways)[None, None]
    window = (..., slice(top, top + rows), slice(left, left + columns))
    under = a.with_data(a.data[window])
    part = _pair(under, b, lambda a, b: _blended(a, b, share.to(a.device)))
    data = a.data.expand(len(part), -1, -1, -1).clone()
    data[window] = part.data
    return a.with_data(data)


_WAYS: Mapping[str, tuple[Callable[..., Latent], tuple[str, ...], tuple[str, ...]]] = {  # what they need, and may take
    "blend": (blend, (), ("weight",)),
    "lerp": (lerp, (), ("weight",)),
    "slerp": (slerp, (), ("weight",)),
    "transfer": (transfer, (), ("weight",)),
    "exchange": (exchange, (), ("radius",)),
    "composite": (composite, ("mask",), ("mask", "feather")),
    "place": (place, ("at",), ("at", "feather")),
}
WAYS = tuple(_WAYS)


def by_name(
    a: Latent,
    b: Latent,
    how: str = "blend",
    *,
    weight: float | None = None,
    radius: float | None = None,
    mask: Float[Tensor, "h w"] | None = None,
    at: tuple[int, int] | None = None,
    feather: float | None = None,
) -> Latent:
    """One of the functions of this page by its name, with what is not None.

    Raises RequestError for an unknown name, for what that function does not take, and for what it lacks.
    """
    choices = settings(how, weight=weight, radius=radius, mask=mask, at=at, feather=feather)
    return _WAYS[how][0](a, b, **choices)


def settings(how: str, **choices: Any) -> dict[str, Any]:
    """What a way to mix is told: those choices that are not None, and the defaults of those that are.

    Raises RequestError as `by_name` does.
    """
    if how not in _WAYS:
        raise RequestError(f"There is no way to mix called {how!r}; choose one of {', '.join(WAYS)}.")
    function, needs, takes = _WAYS[how]
    given = {name: value for name, value in choices.items() if value is not None}
    for name in given:
        if name not in takes:
            raise RequestError(
                f"{how} takes no {name}, only {' and '.join(takes)}; leave it out or mix in another way."
            )
    for name in needs:
        if name not in given:
            raise RequestError(f"{how} needs to know the {name}, and none was given; give it.")
    defaults = {name: signature(function).parameters[name].default for name in takes if name not in needs}
    return defaults | given


def _pair(a: Latent, b: Latent, operation: Callable[[Batch, Batch], Batch]) -> Latent:
    """The operation on both in float32, the result in the precision of a."""
    return a.combined(b, lambda a, b: operation(a.float(), b.float().to(a.device)).to(a.dtype))


def _blended(a: Batch, b: Batch, share: Float[Tensor, "1 1 #h #w"]) -> Batch:
    """(1-share) a + share b with the variance of each channel given back; where the share is 0 or 1, a or b exactly."""
    a, b = torch.broadcast_tensors(a, b)
    mean_a, mean_b = (x.mean((2, 3), keepdim=True) for x in (a, b))
    far_a, far_b = a - mean_a, b - mean_b
    var_a, var_b, cov = (
        (x * y).mean((2, 3), keepdim=True) for x, y in ((far_a, far_a), (far_b, far_b), (far_a, far_b))
    )
    rest = 1 - share
    wanted = rest * var_a + share * var_b
    there = rest**2 * var_a + share**2 * var_b + 2 * share * rest * cov
    gain = torch.where(there > NOTHING_LEFT * wanted, (wanted / there).sqrt(), 1.0)
    gain = torch.where((share == 0) | (share == 1), 1.0, gain)
    mixed = torch.lerp(a, b, share)
    return mixed + (gain - 1) * (mixed - torch.lerp(mean_a, mean_b, share))


def _smooth(x: Float[Tensor, "b c h w"], sigma: float, reach: float | None = None) -> Float[Tensor, "b c h w"]:
    """Blurred by a Gaussian of standard deviation `sigma`, cut off at `reach` (else 3 sigma), all in cells."""
    half = math.floor(reach) if reach is not None else math.ceil(3 * sigma)
    steps = torch.arange(-half, half + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-((steps / sigma) ** 2) / 2)
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, -1)
    wide = F.pad(x, (half, half, half, half), mode="replicate")
    rows = F.conv2d(wide, kernel[:, :, None, :], groups=x.shape[1])
    return F.conv2d(rows, kernel[:, :, :, None], groups=x.shape[1])


def _cells(mask: Float[Tensor, "h w"], latent: Latent) -> Float[Tensor, "1 1 rows columns"]:
    """The share of each latent cell that a mask covers. Raises RequestError for a mask that does not fit the latent."""
    factor, grid = latent.space.factor, tuple(latent.data.shape[2:])
    size = latent.picture_size
    if not (mask.isfinite().all() and mask.min() >= 0 and mask.max() <= 1):
        raise RequestError("The mask has values outside 0 to 1; scale it to 0 (the first picture) and 1 (the second).")
    share = mask.float().cpu()[None, None]
    if tuple(mask.shape) == grid:
        return share
    if tuple(mask.shape) != size:
        raise RequestError(
            f"The mask is {mask.shape[1]}x{mask.shape[0]} and the pictures are {size[1]}x{size[0]} (width x height); "
            "give a mask of their size."
        )
    beyond = (0, grid[1] * factor - size[1], 0, grid[0] * factor - size[0])
    return F.avg_pool2d(F.pad(share, beyond, mode="replicate"), factor)


def _ramp(size: int, feather: float, at_start: bool, at_end: bool) -> Float[Tensor, " size"]:
    """1 inside, growing from 0 over `feather` cells at the ends that are to be feathered."""
    places = torch.arange(size) + 0.5
    ends = [distance for distance, wanted in ((places, at_start), (size - places, at_end)) if wanted and feather]
    return torch.stack([torch.ones(size), *(distance / feather for distance in ends)]).amin(0)


def _length(x: Batch) -> Float[Tensor, "b 1 1 1"]:
    return x.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise RequestError(f"The {name} is {value}; give a number from 0 (the first) to 1 (the second).")


def _check_feather(feather: float) -> None:
    if not (math.isfinite(feather) and feather >= 0):
        raise RequestError(f"The feather is {feather}; give a width in pixels, 0 for a hard edge.")
