"""`fictile train vae` and `fictile train denoiser`: pictures -> weights."""

from pathlib import Path
from typing import Annotated

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
Rate = Annotated[float, typer.Option("--learning-rate", help="Of AdamW, at its height.", rich_help_panel=PACE)]
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
    name: Name = "custom",
    size: Size = 256,
    steps: Steps = 20_000,
    batch: Batch = 16,
    learning_rate: Rate = 5e-4,
    warmup: Warmup = 200,
    cooldown: Cooldown = 0.25,
    ema: Ema = 0.999,
    widths: Widths = "64,128,256",
    layers: Layers = 1,
    channels: Annotated[int, typer.Option(help="Of the latent.", rich_help_panel=NETWORK)] = 4,
    groups: Groups = 32,
    stem: Annotated[
        int,
        typer.Option(help="Fold this many pixels a side into channels first; 1 is plain.", rich_help_panel=NETWORK),
    ] = 2,
    attention: Annotated[
        bool, typer.Option("--attention/--no-attention", help="In the middle block.", rich_help_panel=NETWORK)
    ] = False,
    l1: Annotated[float, typer.Option(help="Weight of the absolute error.", rich_help_panel=LOSS)] = 1.0,
    mse: Annotated[float, typer.Option(help="Weight of the squared error.", rich_help_panel=LOSS)] = 1.0,
    perceptual: Annotated[
        float, typer.Option(help="Weight of the perceptual loss (needs fictile\\[train]).", rich_help_panel=LOSS)
    ] = 0.0,
    perceptual_crop: Annotated[
        int, typer.Option(help="Pixels along a side of the crop it looks at.", rich_help_panel=LOSS)
    ] = 128,
    kl: Annotated[float, typer.Option(help="Weight of the KL term, per latent value.", rich_help_panel=LOSS)] = 1e-4,
    gan: Annotated[
        float, typer.Option(help="Weight of the patch discriminator; 0 is none.", rich_help_panel=LOSS)
    ] = 0.0,
    gan_start: Annotated[
        float, typer.Option(help="Part of the run after which it starts.", rich_help_panel=LOSS)
    ] = 0.5,
    flip: Flip = True,
    seed: Seed = 0,
    sample_every: SampleEvery = 500,
    checkpoint_minutes: Minutes = 5.0,
    precision: Precision = "auto",
    device: Device = "auto",
) -> None:
    """Train a KL autoencoder; the latents' scale and shift are measured and stored in the file."""
    from fictile.autoencoder import KLSpec
    from fictile.training import VAETraining, train_vae

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
        l1=l1,
        mse=mse,
        perceptual=perceptual,
        perceptual_crop=perceptual_crop,
        kl=kl,
        gan=gan,
        gan_start=gan_start,
    )
    say(f"Wrote {train_vae(options)}")


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
    name: Name = "custom",
    size: Size = 256,
    steps: Steps = 50_000,
    batch: Batch = 32,
    learning_rate: Rate = 5e-4,
    warmup: Warmup = 200,
    cooldown: Cooldown = 0.25,
    ema: Ema = 0.9995,
    widths: Widths = "128,192,256",
    layers: Layers = 1,
    depth: Annotated[
        str, typer.Option(metavar="N,N,...", help="Transformer blocks per level.", rich_help_panel=NETWORK)
    ] = "0,1,1",
    heads: Annotated[
        str, typer.Option(metavar="N,N,...", help="Attention heads per level.", rich_help_panel=NETWORK)
    ] = "4,6,8",
    groups: Groups = 32,
    vocabulary: Annotated[int, typer.Option(help="Tokens, at most.", rich_help_panel=NETWORK)] = 2048,
    text_width: Annotated[int, typer.Option(help="Of the text transformer.", rich_help_panel=NETWORK)] = 192,
    text_layers: Annotated[int, typer.Option(help="Of the text transformer.", rich_help_panel=NETWORK)] = 3,
    text_heads: Annotated[int, typer.Option(help="Of the text transformer.", rich_help_panel=NETWORK)] = 6,
    context: Annotated[int, typer.Option(help="Longest caption, in tokens.", rich_help_panel=NETWORK)] = 32,
    objective: Annotated[str, typer.Option(help="flow, v (zero terminal SNR) or eps.", rich_help_panel=LOSS)] = "flow",
    shift: Annotated[
        float, typer.Option(help="Of a flow: above 1, more of the noisy end.", rich_help_panel=LOSS)
    ] = 1.0,
    min_snr: Annotated[float, typer.Option(help="Gamma of min-SNR, for v and eps.", rich_help_panel=LOSS)] = 5.0,
    caption_dropout: Annotated[
        float, typer.Option(help="Part of the captions left out, for guidance.", rich_help_panel=LOSS)
    ] = 0.1,
    flip: Flip = False,
    prompts: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Prompts for the sample sheets, one a line.", rich_help_panel=RUN),
    ] = None,
    guidance: Annotated[float, typer.Option(help="Of the sheets, and the model's default.", rich_help_panel=RUN)] = 4.0,
    seed: Seed = 0,
    sample_every: SampleEvery = 500,
    checkpoint_minutes: Minutes = 5.0,
    precision: Precision = "auto",
    device: Device = "auto",
) -> None:
    """Train a text-conditioned U-Net and its text transformer on the latents of a VAE."""
    from fictile.denoiser import UNetSpec
    from fictile.text import TextSpec
    from fictile.training import DenoiserTraining, objective_of, train_denoiser

    options = DenoiserTraining(
        data=data,
        output=output,
        vae=vae,
        name=name,
        size=size,
        steps=steps,
        batch=batch,
        seed=seed,
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
        min_snr=min_snr,
        caption_dropout=caption_dropout,
        prompts=prompts,
        guidance=guidance,
    )
    say(f"Wrote {train_denoiser(options)}")


def numbers(option: str, text: str) -> tuple[int, ...]:
    """What "64,128,256" lists.

    Raises:
        RequestError: the text is no such list.
    """
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise RequestError(f"{option} is {text!r}; write whole numbers with commas between them, such as 64,128,256.")
    return tuple(int(part) for part in parts)
