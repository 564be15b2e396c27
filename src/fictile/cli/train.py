"""`fictile train vae` and `fictile train denoiser`: pictures -> weights."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

import typer

from fictile.cli.examples import examples
from fictile.cli.options import Device, Precision
from fictile.cli.terminal import say
from fictile.errors import RequestError

NETWORK, LOSS, PACE, RUN = "Network", "Loss", "Pace", "Run"  # panels of the help page

app = typer.Typer(
    help="Train an autoencoder, or a denoiser on its latents, from a folder of pictures.", no_args_is_help=True
)

Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="A folder of pictures with a metadata.jsonl of captions, or one with such folders `train` and `heldout`.",
        show_default=False,
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        help="The run's folder. A run that is there already goes on from its checkpoint.",
        rich_help_panel=RUN,
        show_default=False,
    ),
]
Name = Annotated[
    str, typer.Option(help="What the result is called; part of its latent space's name.", rich_help_panel=RUN)
]
Size = Annotated[int, typer.Option(help="Pixels along a side; pictures are fitted to a square.", rich_help_panel=RUN)]
Steps = Annotated[int, typer.Option(help="Optimiser steps in all.", rich_help_panel=PACE)]
Batch = Annotated[int, typer.Option(help="Pictures per step.", rich_help_panel=PACE)]
Seed = Annotated[int, typer.Option(help="Of all that is random.", rich_help_panel=RUN)]
OptimiserName = Annotated[
    str,
    typer.Option(
        "--optimiser", help="adamw, or muon for layers' weights and adamw for the rest.", rich_help_panel=PACE
    ),
]
Rate = Annotated[float, typer.Option("--learning-rate", help="Of the optimiser, at its height.", rich_help_panel=PACE)]
Warmup = Annotated[int, typer.Option(help="Steps over which the rate rises.", rich_help_panel=PACE)]
Cooldown = Annotated[float, typer.Option(help="Last part of the run, over which it falls to 0.", rich_help_panel=PACE)]
Ema = Annotated[float, typer.Option(help="Decay per step of the averaged weights.", rich_help_panel=PACE)]
Flip = Annotated[bool, typer.Option("--flip/--no-flip", help="Mirror half of the pictures.", rich_help_panel=RUN)]
SampleEvery = Annotated[int, typer.Option(help="Steps between two sheets of samples.", rich_help_panel=RUN)]
Minutes = Annotated[
    float, typer.Option("--checkpoint-minutes", help="Minutes between two checkpoints.", rich_help_panel=RUN)
]
Widths = Annotated[
    str, typer.Option(metavar="N,N,...", help="Channels per level, finest first.", rich_help_panel=NETWORK)
]
Layers = Annotated[int, typer.Option(help="Residual blocks per level.", rich_help_panel=NETWORK)]
Groups = Annotated[int, typer.Option(help="Of every group norm.", rich_help_panel=NETWORK)]


@dataclass(frozen=True)
class Default:
    """One default of a training's options, where it stands once.

    It is looked up when a command runs or its help page shows it, and not before: the look-up loads torch.
    """

    training: str
    required: tuple[str, ...]
    field: str  # with dots into a spec

    def __call__(self) -> Any:
        from fictile import training

        options = getattr(training, self.training)(**dict.fromkeys(self.required, Path()))
        value = attrgetter(self.field)(options)
        return ",".join(map(str, value)) if isinstance(value, tuple) else value

    def __str__(self) -> str:
        return str(self())

    def __bool__(self) -> bool:  # of a flag
        return bool(self())


@dataclass(frozen=True)
class Defaults:
    """All defaults of a training's options, by field."""

    training: str
    required: tuple[str, ...]  # the fields without a default

    def __getitem__(self, field: str) -> Any:
        return Default(self.training, self.required, field)


VAE = Defaults("VAETraining", ("data", "output"))
DENOISER = Defaults("DenoiserTraining", ("data", "output", "vae"))


@app.command(
    "vae",
    epilog=examples(
        "fictile train vae pictures/ -o runs/vae --steps 20000",
        "fictile train vae pictures/ -o runs/vae --widths 64,128,256 --channels 8 --perceptual 0.03 --gan 0.1",
    ),
)
def train_vae(
    data: Data,
    output: Output,
    decoder_of: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Train on the decoder of this autoencoder alone: its latents, and the models on them, stay valid.",
            rich_help_panel=RUN,
            show_default=False,
        ),
    ] = None,
    name: Name = VAE["name"],
    size: Size = VAE["size"],
    steps: Steps = VAE["steps"],
    batch: Batch = VAE["batch"],
    optimiser: OptimiserName = VAE["optimiser"],
    learning_rate: Rate = VAE["learning_rate"],
    warmup: Warmup = VAE["warmup"],
    cooldown: Cooldown = VAE["cooldown"],
    ema: Ema = VAE["ema"],
    widths: Widths = VAE["spec.widths"],
    layers: Layers = VAE["spec.layers"],
    channels: Annotated[int, typer.Option(help="Of the latent.", rich_help_panel=NETWORK)] = VAE["spec.channels"],
    groups: Groups = VAE["spec.groups"],
    stem: Annotated[
        int,
        typer.Option(help="Fold this many pixels a side into channels first; 1 is plain.", rich_help_panel=NETWORK),
    ] = VAE["spec.stem"],
    attention: Annotated[
        bool, typer.Option("--attention/--no-attention", help="In the middle block.", rich_help_panel=NETWORK)
    ] = VAE["spec.mid_attention"],
    l1: Annotated[float, typer.Option(help="Weight of the absolute error.", rich_help_panel=LOSS)] = VAE["l1"],
    mse: Annotated[float, typer.Option(help="Weight of the squared error.", rich_help_panel=LOSS)] = VAE["mse"],
    perceptual: Annotated[
        float, typer.Option(help="Weight of the perceptual loss (needs fictile\\[train]).", rich_help_panel=LOSS)
    ] = VAE["perceptual"],
    perceptual_crop: Annotated[
        int, typer.Option(help="Pixels along a side of the crop it looks at.", rich_help_panel=LOSS)
    ] = VAE["perceptual_crop"],
    kl: Annotated[float, typer.Option(help="Weight of the KL term, per latent value.", rich_help_panel=LOSS)] = VAE[
        "kl"
    ],
    gan: Annotated[
        float, typer.Option(help="Weight of the patch discriminator; 0 is none.", rich_help_panel=LOSS)
    ] = VAE["gan"],
    gan_start: Annotated[
        float, typer.Option(help="Part of the run after which it starts.", rich_help_panel=LOSS)
    ] = VAE["gan_start"],
    flip: Flip = VAE["flip"],
    seed: Seed = VAE["seed"],
    sample_every: SampleEvery = VAE["sample_every"],
    checkpoint_minutes: Minutes = VAE["checkpoint_minutes"],
    precision: Precision = VAE["precision"],
    device: Device = VAE["device"],
) -> None:
    """Train a KL autoencoder; the latents' scale and shift are measured and stored in the file."""
    from fictile.autoencoder import KLSpec
    from fictile.training import VAETraining, optimiser_of, train_vae

    spec = KLSpec(
        widths=numbers("--widths", widths),
        layers=layers,
        channels=channels,
        groups=groups,
        mid_attention=attention,
        stem=stem,
    )
    options = VAETraining(
        data=data,
        output=output,
        name=name,
        size=size,
        steps=steps,
        batch=batch,
        seed=seed,
        optimiser=optimiser_of(optimiser),
        learning_rate=learning_rate,
        warmup=warmup,
        cooldown=cooldown,
        ema=ema,
        flip=flip,
        precision=precision,
        device=device,
        sample_every=sample_every,
        checkpoint_minutes=checkpoint_minutes,
        spec=spec,
        decoder_of=decoder_of,
        l1=l1,
        mse=mse,
        perceptual=perceptual,
        perceptual_crop=perceptual_crop,
        kl=kl,
        gan=gan,
        gan_start=gan_start,
    )
    finish(lambda: train_vae(options), output)


@app.command(
    "denoiser",
    epilog=examples(
        "fictile train denoiser pictures/ --vae runs/vae/vae.safetensors -o runs/model --steps 50000",
        'fictile generate "a fox" --model runs/model/model',
    ),
)
def train_denoiser(
    data: Data,
    output: Output,
    vae: Annotated[
        Path, typer.Option(metavar="FILE", help="The autoencoder whose latents it learns.", show_default=False)
    ],
    init: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="A model to train on from: its networks, its tokenizer.", show_default=False
        ),
    ] = None,
    name: Name = DENOISER["name"],
    size: Size = DENOISER["size"],
    steps: Steps = DENOISER["steps"],
    batch: Batch = DENOISER["batch"],
    optimiser: OptimiserName = DENOISER["optimiser"],
    learning_rate: Rate = DENOISER["learning_rate"],
    warmup: Warmup = DENOISER["warmup"],
    cooldown: Cooldown = DENOISER["cooldown"],
    ema: Ema = DENOISER["ema"],
    widths: Widths = DENOISER["spec.widths"],
    layers: Layers = DENOISER["spec.layers"],
    depth: Annotated[
        str, typer.Option(metavar="N,N,...", help="Transformer blocks per level.", rich_help_panel=NETWORK)
    ] = DENOISER["spec.depth"],
    heads: Annotated[
        str, typer.Option(metavar="N,N,...", help="Attention heads per level.", rich_help_panel=NETWORK)
    ] = DENOISER["spec.heads"],
    groups: Groups = DENOISER["spec.groups"],
    vocabulary: Annotated[int, typer.Option(help="Tokens, at most.", rich_help_panel=NETWORK)] = DENOISER[
        "text.vocabulary"
    ],
    text_width: Annotated[int, typer.Option(help="Of the text transformer.", rich_help_panel=NETWORK)] = DENOISER[
        "text.width"
    ],
    text_layers: Annotated[int, typer.Option(help="Of the text transformer.", rich_help_panel=NETWORK)] = DENOISER[
        "text.layers"
    ],
    text_heads: Annotated[int, typer.Option(help="Of the text transformer.", rich_help_panel=NETWORK)] = DENOISER[
        "text.heads"
    ],
    context: Annotated[int, typer.Option(help="Longest caption, in tokens.", rich_help_panel=NETWORK)] = DENOISER[
        "text.context"
    ],
    objective: Annotated[
        str, typer.Option(help="flow, v (zero terminal SNR) or eps.", rich_help_panel=LOSS)
    ] = DENOISER["objective"],
    shift: Annotated[
        float, typer.Option(help="Of a flow: above 1, more of the noisy end.", rich_help_panel=LOSS)
    ] = DENOISER["shift"],
    uniform_times: Annotated[
        float, typer.Option(help="Part of a flow's training times drawn evenly.", rich_help_panel=LOSS)
    ] = DENOISER["uniform_times"],
    min_snr: Annotated[float, typer.Option(help="Gamma of min-SNR, for v and eps.", rich_help_panel=LOSS)] = DENOISER[
        "min_snr"
    ],
    caption_dropout: Annotated[
        float, typer.Option(help="Part of the captions left out, for guidance.", rich_help_panel=LOSS)
    ] = DENOISER["caption_dropout"],
    flip: Flip = DENOISER["flip"],
    prompts: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Prompts for the sample sheets, one a line.", rich_help_panel=RUN),
    ] = None,
    guidance: Annotated[
        float, typer.Option(help="Of the sheets, and the model's default.", rich_help_panel=RUN)
    ] = DENOISER["guidance"],
    seed: Seed = DENOISER["seed"],
    sample_every: SampleEvery = DENOISER["sample_every"],
    checkpoint_minutes: Minutes = DENOISER["checkpoint_minutes"],
    precision: Precision = DENOISER["precision"],
    device: Device = DENOISER["device"],
    compile_steps: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Let torch's compiler make the steps faster; it takes minutes at first.",
            rich_help_panel=PACE,
        ),
    ] = DENOISER["compile"],
) -> None:
    """Train a text-conditioned U-Net and its text transformer on the latents of a VAE."""
    from fictile.denoiser import UNetSpec
    from fictile.text import TextSpec
    from fictile.training import DenoiserTraining, objective_of, optimiser_of, train_denoiser

    options = DenoiserTraining(
        data=data,
        output=output,
        vae=vae,
        init=init,
        name=name,
        size=size,
        steps=steps,
        batch=batch,
        seed=seed,
        optimiser=optimiser_of(optimiser),
        learning_rate=learning_rate,
        warmup=warmup,
        cooldown=cooldown,
        ema=ema,
        flip=flip,
        precision=precision,
        device=device,
        sample_every=sample_every,
        checkpoint_minutes=checkpoint_minutes,
        spec=UNetSpec(
            widths=numbers("--widths", widths),
            layers=layers,
            depth=numbers("--depth", depth),
            heads=numbers("--heads", heads),
            groups=groups,
        ),
        text=TextSpec(vocabulary=vocabulary, width=text_width, layers=text_layers, heads=text_heads, context=context),
        objective=objective_of(objective),
        shift=shift,
        uniform_times=uniform_times,
        min_snr=min_snr,
        caption_dropout=caption_dropout,
        prompts=prompts,
        guidance=guidance,
        compile=compile_steps,
    )
    finish(lambda: train_denoiser(options), output)


def finish(train: Callable[[], Path], output: Path) -> None:
    """Train, and say where the result is; after Ctrl-C, how to go on."""
    from fictile.training.run import CHECKPOINT

    try:
        result = train()
    except KeyboardInterrupt:
        if (kept := output / CHECKPOINT).exists():
            say(f"The run is kept in {kept}; the same command again goes on from there.")
        raise
    say(f"Wrote {result}")


def numbers(option: str, text: str) -> tuple[int, ...]:
    """What "64,128,256" lists.

    Raises:
        RequestError: the text is no such list.
    """
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise RequestError(f"{option} is {text!r}; write whole numbers with commas between them, such as 64,128,256.")
    return tuple(int(part) for part in parts)
