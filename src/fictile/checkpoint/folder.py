"""The model folder: everything a model is made of, as plain files.

model.json           name, latent space, noise schedule, prediction, defaults; written last
vae.safetensors      the autoencoder
unet.safetensors     the denoiser
text.safetensors     the text transformer
tokenizer.json       its tokenizer
README.md            the model card, for people
"""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, cast

import torch

from fictile.autoencoder import AnyAutoencoder
from fictile.checkpoint.fields import from_json
from fictile.checkpoint.files import content_hash
from fictile.checkpoint.native import (
    load_autoencoder,
    load_text,
    load_unet,
    read_about,
    save_autoencoder,
    save_text,
    save_unet,
)
from fictile.denoiser import Denoiser, Guidance
from fictile.errors import RequestError, SpaceMismatch
from fictile.files import made_folder, written_whole
from fictile.latent import LatentSpace
from fictile.schedule import DDPM, Cosine, Flow, Prediction, schedule_from_json, schedule_to_json
from fictile.text import TextConditioner, TextEncoder, Tokenizer

VERSION = 1  # of model.json
PACKAGED = "emoji-2"  # the folder of the packaged model, beside this package
BUNDLED = "the model's own"
MODEL, VAE, UNET, TEXT, TOKENIZER, CARD = (
    "model.json", "vae.safetensors", "unet.safetensors", "text.safetensors", "tokenizer.json", "README.md"
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What a model does where its user says nothing."""

    size: tuple[int, int] = (512, 512)  # height and width of the picture
    steps: int = 20
    guidance: float = 5.0
    guidance_rescale: float = 0.0
    guidance_interval: tuple[float, float] = (0.0, 1.0)  # see `Guidance`
    sampler: str = "dpmpp_2m"
    schedule: str = "karras"  # of the steps

    def guided(self, guidance: float | Guidance | None = None, interval: tuple[float, float] | None = None) -> Guidance:
        """The model's own guidance, in another strength or interval if they are given; a `Guidance` as it is.

        Raises RequestError as `Guidance` does.
        """
        if isinstance(guidance, Guidance):
            return guidance
        return Guidance(
            scale=self.guidance if guidance is None else guidance,
            rescale=self.guidance_rescale,
            interval=interval or self.guidance_interval,
        )


@dataclass(frozen=True, kw_only=True)
class Hashes:
    """SHA-256 of the files a model was loaded from."""

    model: str  # of all the other hashes together, model.json's and the tokenizer's among them
    vae: str
    unet: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a model is put together from. `hashes` is None for one that never was a file. `vae_origin` says for people
    which autoencoder it has and why; `vae_forced`, that it was taken although it is of another space.

    Raises SpaceMismatch when the autoencoder and the denoiser live in different spaces, RequestError when the text
    encoder does not fit the denoiser.
    """

    name: str
    autoencoder: AnyAutoencoder
    text: TextConditioner
    denoiser: Denoiser
    defaults: Defaults
    hashes: Hashes | None = None
    vae_origin: str = BUNDLED
    vae_forced: bool = False

    def __post_init__(self) -> None:
        _check_spaces(self.name, self.autoencoder.space, self.denoiser.space)
        width, spec = self.text.context_width, self.denoiser.network.spec
        if width != spec.context_width:
            raise RequestError(
                f"The text encoder of {self.name} makes {width} features per token, but its U-Net reads "
                f"{spec.context_width}; use the text encoder that the U-Net was trained with."
            )
        pooled, sizes = self.text.added or (0, 0)
        added = pooled + sizes * (spec.added_time_width or 0)
        if added != (spec.added_width or 0):
            raise RequestError(
                f"The text encoders of {self.name} make {added} features of the text as a whole and the picture's "
                f"size, but its U-Net reads {spec.added_width or 0}; use the text encoders that the U-Net was trained "
                "with."
            )

    @property
    def text_encoder(self) -> TextEncoder:
        """The text encoder of a model that Fictile trained. Raises RequestError for a published model, which has none
        that a model folder could hold or that training could go on with.
        """
        if not isinstance(self.text, TextEncoder):
            raise RequestError(
                f"{self.name} has CLIP text encoders, but only a model with a tokenizer of its own can be saved as a "
                "model folder or trained on; use one that Fictile trained."
            )
        return self.text


@dataclass(frozen=True, kw_only=True)
class _ModelFile:
    """model.json as a dataclass."""

    version: int
    name: str
    space: LatentSpace
    prediction: Prediction
    schedule: dict[str, Any]  # the noise schedule, as `schedule_to_json` writes it
    defaults: Defaults


def save_model(
    parts: Parts, folder: str | PathLike[str], *, card: str = "", dtype: torch.dtype = torch.float16
) -> None:
    """Write the model folder, weights in `dtype`; `card` becomes its README.md. model.json comes last, so that a folder
    that has one is whole.

    Raises RequestError when the folder cannot be written to, or for text encoders of a published model.
    """
    folder, schedule, text = Path(folder), parts.denoiser.schedule, parts.text_encoder
    if not isinstance(schedule, DDPM | Cosine | Flow):
        raise RequestError(f"A {type(schedule).__name__} cannot be written into {MODEL}; use one of fictile.schedule.")
    made_folder(folder)
    space = parts.denoiser.space
    save_autoencoder(parts.autoencoder, folder / VAE, dtype)
    save_unet(parts.denoiser.network, folder / UNET, dtype, space=space)
    save_text(text.network, folder / TEXT, dtype)
    text.tokenizer.save(folder / TOKENIZER)
    about = {
        "version": VERSION,
        "name": parts.name,
        "space": asdict(space),
        "prediction": parts.denoiser.prediction,
        "schedule": schedule_to_json(schedule),
        "defaults": asdict(parts.defaults),
    }
    for name, text in ((CARD, card or f"# {parts.name}\n"), (MODEL, json.dumps(about, indent=2) + "\n")):
        with written_whole(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def load_model(
    folder: str | PathLike[str],
    autoencoder: AnyAutoencoder | None = None,
    *,
    dtype: torch.dtype = torch.float32,
    weights: bool = True,
) -> Parts:
    """Read a model folder, in `dtype` on the CPU, its autoencoder in float32; an `autoencoder` takes the place of that.
    Without `weights`, the networks are on torch's meta device, and nothing is hashed.

    Raises RequestError when a file is missing, damaged or of another kind, SpaceMismatch when a file has been swapped
    for one of another latent space.
    """
    folder = Path(folder)
    about = read_model_file(folder)
    own = autoencoder is None
    autoencoder = autoencoder or load_autoencoder(folder / VAE, weights=weights)
    hashes = hash_parts(folder, autoencoder.content_hash if own else None) if weights else None
    _check_spaces(f"{folder / VAE} and {MODEL}", autoencoder.space, about.space)
    trained_on = read_about(folder / UNET, "denoiser").get("space")
    if trained_on is not None:
        space = from_json(LatentSpace, trained_on, f"the latent space in {folder / UNET}")
        _check_spaces(f"{folder / VAE} and {UNET}", autoencoder.space, space)
    return Parts(
        name=about.name,
        autoencoder=autoencoder,
        text=TextEncoder(Tokenizer.load(folder / TOKENIZER), load_text(folder / TEXT, dtype, weights=weights)),
        denoiser=Denoiser(
            load_unet(folder / UNET, dtype, weights=weights),
            schedule_from_json(about.schedule),
            about.prediction,
            about.space,
        ),
        defaults=about.defaults,
        hashes=hashes and replace(hashes, vae=autoencoder.content_hash or hashes.vae),
    )


def read_model_file(folder: Path) -> _ModelFile:
    """What model.json says; RequestError when it is missing or damaged."""
    path = folder / MODEL
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "does not exist"
        raise RequestError(f"{folder} {problem}, but a model folder was expected; give a folder that holds a {MODEL}.")
    if not path.is_file():
        raise RequestError(f"{folder} has no {MODEL}, so it is no model folder; give one that Fictile wrote.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError(f"{path} cannot be read ({error}); copy the folder again.") from None
    if isinstance(content, dict) and cast(dict[str, object], content).get("version", VERSION) != VERSION:
        raise RequestError(f"{path} is of version {content['version']!r}, but {VERSION} is known here; update Fictile.")
    return from_json(_ModelFile, content, str(path))


def _check_spaces(where: str, vae: LatentSpace, denoiser: LatentSpace) -> None:
    if vae != denoiser:
        raise SpaceMismatch(
            f"In {where}, the autoencoder speaks {vae}, but the denoiser speaks {denoiser}; "
            f"use the autoencoder of {denoiser.id} or a denoiser that was trained on {vae.id}."
        )


def hash_parts(folder: Path, vae: str | None = None) -> Hashes:
    """The hashes of a model folder, that of its autoencoder if it is not known yet.

    Raises RequestError when one of its files is missing.
    """
    vae = vae or content_hash(folder / VAE)
    unet, text, *others = (content_hash(folder / name) for name in (UNET, TEXT, TOKENIZER, MODEL))
    model = hashlib.sha256("\n".join((vae, unet, text, *others)).encode()).hexdigest()
    return Hashes(model=model, vae=vae, unet=unet, text=text)
