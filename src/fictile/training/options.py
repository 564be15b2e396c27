"""What can be chosen about a training run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar, get_args

import torch

from fictile.autoencoder import KLSpec
from fictile.denoiser import UNetSpec
from fictile.engine import COMPILED, Runtime, choose_backend, choose_runtime
from fictile.errors import RequestError
from fictile.text import TextSpec

Objective = Literal["flow", "v", "eps"]
ADAMW: Final = "adamw"
MUON: Final = "muon"
OptimiserName = Literal["adamw", "muon"]
Name = TypeVar("Name", bound=str)


@dataclass(frozen=True, kw_only=True)
class Training:
    """What every training run needs to know. Lengths are in optimiser steps unless the name says otherwise."""

    data: Path  # a folder of pictures with metadata.jsonl, or one with such folders `train` and `heldout`
    output: Path  # the run's folder: options, log, samples, checkpoints and the exported weights
    name: str = "custom"
    size: int = 256  # pixels along a side; pictures are fitted to a square of it
    steps: int = 20_000
    batch: int = 16
    seed: int = 0
    optimiser: OptimiserName = ADAMW  # "muon": of the weights of linear layers and convolutions, AdamW of the rest
    learning_rate: float = 5e-4
    warmup: int = 200  # the learning rate rises linearly over these
    cooldown: float = 0.25  # and falls linearly to zero over this last part of the run
    weight_decay: float = 0.01
    clip: float = 1.0  # largest norm of the gradient
    ema: float = 0.999  # decay per step of the averaged weights, which are the ones exported
    flip: bool = False  # mirror half of the pictures
    precision: str = "auto"  # of the forward and backward pass; weights are always float32
    device: str = "auto"
    log_every: int = 20
    sample_every: int = 500
    checkpoint_minutes: float = 5.0

    def __post_init__(self) -> None:
        self._check("be at least 1", lambda x: x >= 1, "size", "steps", "batch", "log_every", "sample_every")
        self._check("be above 0", lambda x: x > 0, "learning_rate", "clip", "checkpoint_minutes")
        self._check("be at least 0", lambda x: x >= 0, "warmup", "weight_decay")
        self._check("lie between 0 and 1", lambda x: 0 <= x <= 1, "cooldown", "ema")
        if self.optimiser == MUON and not hasattr(torch.optim, "Muon"):
            raise RequestError(f"torch {torch.__version__} has no Muon; install 2.9 or later, or take adamw.")

    def _check(self, rule: str, holds: Callable[[float], bool], *names: str) -> None:
        for name in names:
            if not holds(value := getattr(self, name)):
                raise RequestError(f"{name} is {value}; it must {rule}.")

    def runtime(self) -> Runtime:
        """Where to train, and in which precision: float32 where "auto" would be fp16.

        Raises:
            RequestError: the device or the precision is not there, or is fp16, in which small gradients become 0.
        """
        runtime = choose_runtime(self.device, self.precision)
        if runtime.precision != "fp16":
            return runtime
        if self.precision != "auto":
            raise RequestError("The precision is fp16, in which training goes wrong; use bf16 or float32.")
        return choose_runtime(self.device, "float32")


@dataclass(frozen=True, kw_only=True)
class VAETraining(Training):
    """How a KL autoencoder is trained. Loss weights follow latent diffusion (arXiv 2112.10752, appendix G)."""

    spec: KLSpec = field(default_factory=lambda: KLSpec(widths=(64, 128, 256), layers=1, mid_attention=False, stem=2))
    decoder_of: Path | None = None  # an autoencoder of which the decoder alone is trained on; `spec` then means nothing
    flip: bool = True
    l1: float = 1.0
    mse: float = 1.0
    perceptual: float = 0.0  # needs the extra fictile[train]
    perceptual_crop: int = 128  # pixels along a side of the crop that the feature network looks at
    kl: float = 1e-4  # per latent value, against a standard normal
    gan: float = 0.0  # 0: no discriminator
    gan_start: float = 0.5  # part of the run after which the discriminator starts
    gan_width: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("be at least 0", lambda x: x >= 0, "l1", "mse", "perceptual", "kl", "gan")
        self._check("be at least 1", lambda x: x >= 1, "perceptual_crop")
        self._check("lie between 0 and 1", lambda x: 0 <= x <= 1, "gan_start")
        self._check("be a multiple of 4, and above 0", lambda x: x > 0 and x % 4 == 0, "gan_width")
        if self.decoder_of is None:
            self.check_size(self.spec)
        if self.gan:
            self._check("be at least 24 with a discriminator", lambda x: x >= 24, "size")

    def check_size(self, spec: KLSpec) -> None:
        """Raises RequestError when pictures of this size do not fit the network."""
        factor = spec.factor
        self._check(f"be a multiple of {factor} for this network", lambda x: x % factor == 0, "size")


@dataclass(frozen=True, kw_only=True)
class DenoiserTraining(Training):
    """How a U-Net and its text transformer are trained on the latents of one VAE."""

    vae: Path
    init: Path | None = None  # a model folder to train on from; its networks and tokenizer take the place of new ones
    steps: int = 50_000
    batch: int = 32
    spec: UNetSpec = field(
        default_factory=lambda: UNetSpec(widths=(128, 192, 256), layers=1, depth=(0, 1, 1), heads=(4, 6, 8))
    )
    text: TextSpec = field(default_factory=lambda: TextSpec(vocabulary=2048, width=192, layers=3, heads=6, context=32))
    objective: Objective = "flow"
    shift: float = 1.0  # of the flow: above 1, more training and sampling at high noise (arXiv 2403.03206, eq. 23)
    uniform_times: float = (
        0.5  # part of a flow's training times drawn evenly, the rest logit-normal; see `random_times`
    )
    min_snr: float = 5.0  # gamma of min-SNR weighting (arXiv 2303.09556), for the objectives v and eps
    caption_dropout: float = 0.1
    ema: float = 0.9995
    prompts: Path | None = None  # one prompt a line, for the sample sheets; otherwise captions of the data
    guidance: float = 4.0  # of the sample sheets, and the exported model's default
    sample_steps: int = 20
    compile: bool = False  # the U-Net's step by torch's compiler: minutes at first, then faster

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("be above 0", lambda x: x > 0, "shift", "min_snr")
        self._check("lie between 0 and 1", lambda x: 0 <= x <= 1, "caption_dropout", "uniform_times")
        self._check("be at least 1", lambda x: x >= 1, "sample_steps")

    def runtime(self) -> Runtime:
        """As every training's, and nowhere that torch's compiler is asked for and cannot run."""
        runtime = super().runtime()
        if self.compile:
            choose_backend(COMPILED, runtime.device, runtime.precision)
        return runtime


def objective_of(name: str) -> Objective:
    """The objective called `name`.

    Raises:
        RequestError: for any other name.
    """
    return _named("objective", name, get_args(Objective))


def optimiser_of(name: str) -> OptimiserName:
    """The optimiser called `name`.

    Raises:
        RequestError: for any other name.
    """
    return _named("optimiser", name, get_args(OptimiserName))


def _named(kind: str, name: str, names: tuple[Name, ...]) -> Name:
    for known in names:
        if known == name:
            return known
    raise RequestError(f"There is no {kind} {name!r}; choose one of {', '.join(names)}.")
