"""One network of a checkpoint: where its tensors are, whether they are all there, and the network made of them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Literal, TypeVar

import torch
from jaxtyping import Shaped
from torch import Tensor

from fictile.checkpoint.autoencoder_names import our_names
from fictile.checkpoint.fields import few
from fictile.checkpoint.keys import Convention, Take, plain, read_as, shape_in_file
from fictile.checkpoint.shapes import Naming, Network, Spec, convention, empty_network, tensor_shapes
from fictile.checkpoint.side_by_side import side_by_side
from fictile.checkpoint.weights import Weights
from fictile.denoiser import UNetSpec
from fictile.errors import RequestError
from fictile.text import TextSpec

Role = Literal["unet", "vae", "text_encoder", "text_encoder_2"]  # diffusers' names of the folders
T = TypeVar("T")

NAMED = 5  # how many tensors a sentence names

# Tensors of a single file that are no part of a network: schedules, losses, and marks that are read elsewhere.
BESIDE = frozenset((
    "betas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod", "logvar",
    "posterior_variance", "posterior_log_variance_clipped", "posterior_mean_coef1", "posterior_mean_coef2",
    "lvlb_weights", "scale_factor", "v_pred", "ztsnr", "edm_vpred.sigma_max", "edm_vpred.sigma_min", "edm_mean",
    "edm_std", "denoiser.sigmas", "model_ema.decay", "model_ema.num_updates", "epoch", "global_step", "scaled_fp8",
))  # fmt: skip

# Tensors that hold nothing a network needs: counters, CLIP's temperature and mask; a latent's statistics, which are
# read elsewhere; and ComfyUI's units of tiny autoencoders, whose latents are raw there and in model units here.
_IGNORED = re.compile(
    r"(.*\.)?(position_ids|logit_scale|attn_mask|num_batches_tracked)|loss\..*|model_ema\..*|bn\.running_(mean|var)"
    r"|vae_scale|vae_shift"
)
_COUNT = "num_batches_tracked"  # a batch norm's; it matters only to training, and some files leave it out
# The last layer and the projection of Stable Diffusion 2's text encoder, which nothing reads.
_UNREAD = re.compile(r"text_projection|transformer\.resblocks\.(?P<layer>\d+)\..*")


@dataclass(frozen=True, kw_only=True)
class Part:
    """A network in a file or folder; `weights` has its tensors alone, under the names of `naming`."""

    role: Role
    spec: Spec
    naming: Naming
    weights: Weights = field(repr=False)
    prefix: str = ""  # of its tensors in the file that holds several networks
    ema: bool = False  # the averaged copy of the same weights, which LDM stores under names without dots
    class_name: str | None = None  # of diffusers, where a folder or a file of ours says it

    @property
    def label(self) -> str:
        """What it is, for people."""
        if isinstance(self.spec, TextSpec):
            known = {768: "CLIP-L", 1024: "OpenCLIP-H", 1280: "OpenCLIP-G"}
            return f"text encoder {known.get(self.spec.width, '')}".strip()
        return "U-Net" if isinstance(self.spec, UNetSpec) else "autoencoder"

    @property
    def parameters(self) -> int:
        """How many numbers it has in the file."""
        return sum(info.count for info in self.weights.tensors.values())

    @cached_property
    def take(self) -> Convention:
        """From our names to those in the file."""
        if self.naming == "released" and not isinstance(self.spec, UNetSpec | TextSpec):
            return _released(our_names(self.spec, self.weights.tensors))
        named = convention(self.naming, self.spec)
        return (lambda name: _averaged(named(name))) if self.ema else named

    def empty(self) -> Network:
        """The network without memory. Raises RequestError for a spec that describes none."""
        return self._made(empty_network)

    def _made(self, make: Callable[[Spec], T]) -> T:
        try:
            return make(self.spec)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise RequestError(
                f"The spec of the {self.label} in {self.weights.path} describes no network that can be built ({error})."
            ) from None

    def problem(self) -> str | None:
        """What does not fit between the network and the tensors, as one sentence; None when all do."""
        expected, take = self._made(tensor_shapes), self.take
        takes = {name: take(name) for name in expected}
        needed = {take.name for take in takes.values()}
        missing = sorted(name for name in needed - self.weights.tensors.keys() if not name.endswith(_COUNT))
        unexpected = (
            [] if self.ema else sorted(name for name in self.weights.tensors.keys() - needed if self.counts(name))
        )
        if missing or unexpected:
            what = [f"lacks {len(missing)} of {len(needed)} tensors ({few(missing, NAMED)})"] if missing else []
            what += [f"has {len(unexpected)} unexpected ones ({few(unexpected, NAMED)})"] if unexpected else []
            return f"The {self.label} in {self.weights.path} {' and '.join(what)}; get an unchanged copy."
        for name, shape in expected.items():
            found = self.weights.shape(takes[name].name)
            if found is not None and _squeezed(shape_in_file(takes[name], found)) != _squeezed(shape):
                return (
                    f"The {self.label} in {self.weights.path} does not fit together: {takes[name].name} is {found}, "
                    f"but {shape} was expected; get an unchanged copy."
                )
        return None

    def counts(self, name: str) -> bool:
        """Whether a tensor of the file belongs to the network at all."""
        if name in BESIDE or _IGNORED.fullmatch(name):
            return False
        unread = _UNREAD.fullmatch(name)
        if self.naming == "open_clip" and isinstance(self.spec, TextSpec) and self.spec.projection is None and unread:
            return unread["layer"] is not None and int(unread["layer"]) != self.spec.layers
        return True

    def build(self, dtype: torch.dtype) -> Network:
        """The network with the weights in `dtype`, on the CPU, in evaluation mode.

        It is made without memory, and filled in the order of the disk: at no time is more held than what is filled and,
        for each thread that reads, one tensor as it lies in the file. Raises RequestError when tensors are missing,
        unexpected or of another shape.
        """
        if problem := self.problem():
            raise RequestError(problem)
        network = self.empty()
        places = {name: place for place, name in enumerate(self.weights.tensors)}
        in_order = sorted(network.state_dict(), key=lambda name: places.get(self.take(name).name, -1))
        tensors = side_by_side(partial(self.read, dtype=dtype), in_order)
        network.load_state_dict(dict(zip(in_order, tensors, strict=True)), assign=True)
        return network.eval()

    def read(self, name: str, dtype: torch.dtype) -> Shaped[Tensor, "..."]:
        """One tensor of the network, in memory of its own; a count of batches, which only training reads, is 0."""
        if name.endswith(_COUNT):
            return torch.zeros((), dtype=torch.long)
        return read_as(self.weights, self.take(name), tensor_shapes(self.spec)[name], dtype)


def _released(names: Mapping[str, tuple[str, ...]]) -> Convention:
    """From our names to those of a file, where a table says the reverse."""
    takes = {
        name: Take(theirs, third=index if len(ours) > 1 else None)
        for theirs, ours in names.items()
        for index, name in enumerate(ours)
    }
    return lambda name: takes.get(name, plain(name))


def _averaged(take: Take) -> Take:
    return replace(take, name=take.name.replace(".", ""))


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without the ones at the end that make a matrix a 1x1 convolution."""
    return shape[:2] if set(shape[2:]) == {1} else shape
