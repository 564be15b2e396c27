"""Single file <-> folder of diffusers. Tensors keep their bytes unless another type is asked for; they are read,
renamed and written one by one.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from shutil import copytree

import torch

from fictile.autoencoder import KLSpec
from fictile.checkpoint.checkpoint import Checkpoint
from fictile.checkpoint.config_file import write_config
from fictile.checkpoint.convert_autoencoder import DIFFUSERS, NAMES, RELEASED, convert_autoencoder
from fictile.checkpoint.converted import SINGLE, Converted, own_description
from fictile.checkpoint.entries import network_entries
from fictile.checkpoint.families import FAMILIES, Family, FamilyFacts
from fictile.checkpoint.hub import INDEX
from fictile.checkpoint.keys import plain
from fictile.checkpoint.native import KEY
from fictile.checkpoint.parts import Role
from fictile.checkpoint.pipeline import component_config, pipeline_index, scheduler_config
from fictile.checkpoint.shapes import Naming, convention
from fictile.checkpoint.write import Entry, write_safetensors
from fictile.denoiser import UNetSpec
from fictile.errors import RequestError
from fictile.files import folder_made_whole, made_folder, written_whole
from fictile.text import TEXT_FAMILIES, TextSpec, clip_tokenizer

MODELSPEC_PREDICTIONS: Mapping[str | None, str] = {"eps": "epsilon", "v": "v"}
WEIGHTS: Mapping[Role, str] = {
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
    "text_encoder_2": "model.safetensors",
}
# Components without weights, which a folder can pass on to another, and their classes.
PASSED_ON: Mapping[str, tuple[str, str]] = {
    "tokenizer": ("transformers", "CLIPTokenizer"),
    "tokenizer_2": ("transformers", "CLIPTokenizer"),
}
TOKENIZER_OF: Mapping[Role, str] = {"text_encoder": "tokenizer", "text_encoder_2": "tokenizer_2"}


def convert(
    checkpoint: Checkpoint,
    out: str | PathLike[str],
    *,
    dtype: torch.dtype | None = None,
    title: str | None = None,
    tokenizers: Mapping[str, Path] | None = None,
    names: str = RELEASED,
) -> Converted:
    """Write a whole model or an autoencoder as a single file (where `out` ends in .safetensors) or as a folder of
    diffusers.

    Every tensor keeps its type and its bytes; with `dtype`, all become that. Quantised ones become float32. The single
    file carries ModelSpec metadata (https://github.com/Stability-AI/ModelSpec) and, under "fictile", the specs, the
    normalisation and the latent space. A folder gets the `tokenizers` (component to folder) that are given, or those
    of the folder that it was made from; where there are none, CLIP's, for text encoders of its vocabulary. `names` are
    those of an autoencoder's tensors in a file: of its release, or diffusers'.

    Raises RequestError when the checkpoint is neither a whole Stable Diffusion nor an autoencoder, does not fit
    together, a value does not fit the type, or `out` cannot be written to.
    """
    identity, out = checkpoint.identity, Path(out)
    if identity.problems:
        raise RequestError(identity.problems[0])
    if out.suffix.lower() in (".ckpt", ".pt", ".pth", ".bin", ".gguf"):
        raise RequestError(f"{out} is of a kind that Fictile does not write; name a .safetensors file or a folder.")
    if names not in NAMES:
        raise RequestError(f"The names {names!r} are not known; choose one of {', '.join(NAMES)}.")
    if identity.kind == "autoencoder":
        return convert_autoencoder(checkpoint, out, dtype=dtype, title=title, names=names)
    if names == DIFFUSERS:
        raise RequestError(
            f"{checkpoint.path} is {identity.title}, and those have the names of their release in a single file; "
            "diffusers' names are for an autoencoder alone, or write a folder."
        )
    drawn = "unet" in checkpoint.parts and identity.family in FAMILIES
    if drawn and identity.prediction not in MODELSPEC_PREDICTIONS:
        raise RequestError(
            f"{checkpoint.path} predicts neither eps nor v, which is all that single files and their readers know; "
            "keep it as it is."
        )
    facts = FAMILIES.get(identity.family) if identity.family else None
    if facts is None or identity.family is None or "unet" not in checkpoint.parts or not identity.supported:
        raise RequestError(
            f"{checkpoint.path} is {identity.title}, but only whole models of Stable Diffusion 1, 2 and XL and "
            "autoencoders can be converted; give one of these."
        )
    for part in checkpoint.parts.values():
        if problem := part.problem():
            raise RequestError(problem)
    if out.suffix.lower() == SINGLE:
        return _to_single(checkpoint, facts, out, dtype, title or out.stem)
    return _to_folder(checkpoint, identity.family, out, dtype, tokenizers)


def _to_single(
    checkpoint: Checkpoint, facts: FamilyFacts, out: Path, dtype: torch.dtype | None, title: str
) -> Converted:
    places: dict[Role, tuple[str, Naming]] = {
        "unet": ("model.diffusion_model.", "ldm"),
        "vae": ("first_stage_model.", "ldm"),
        **dict(zip(_text_roles(checkpoint.identity.family), facts.texts, strict=True)),
    }  # pyright: ignore[reportAssignmentType] - zip forgets which strings are namings
    entries: list[Entry] = []
    for role, part in checkpoint.parts.items():
        if role not in places or not isinstance(part.spec, UNetSpec | KLSpec | TextSpec):
            kind = part.label if role not in places else f"{part.label} of another kind than KL"
            raise RequestError(
                f"{checkpoint.path} has a {kind} that a single file of its family has no place for; "
                "write it as a folder."
            )
        prefix, naming = places[role]
        entries += network_entries(part, convention(naming, part.spec), prefix, dtype)
    write_safetensors(out, entries, metadata(checkpoint, facts, title), hashed=True)
    return Converted(path=out, files=(out,), notes=_notes(checkpoint))


def _to_folder(
    checkpoint: Checkpoint, family: Family, out: Path, dtype: torch.dtype | None, tokenizers: Mapping[str, Path] | None
) -> Converted:
    with folder_made_whole(out) as draft:
        notes = _fill_folder(checkpoint, family, draft, dtype, tokenizers)
    return Converted(path=out, files=tuple(out / role / WEIGHTS[role] for role in checkpoint.parts), notes=notes)


def _fill_folder(
    checkpoint: Checkpoint, family: Family, out: Path, dtype: torch.dtype | None, tokenizers: Mapping[str, Path] | None
) -> tuple[str, ...]:
    """Write everything into the folder; what a user should know of it."""
    for role, part in checkpoint.parts.items():
        folder = made_folder(out / role)
        write_config(folder, component_config(part, checkpoint.normalisation, family))
        write_safetensors(folder / WEIGHTS[role], network_entries(part, plain, dtype=dtype), {"format": "pt"})
    made = _tokenizers(checkpoint, family, out, tokenizers or {name: checkpoint.path / name for name in PASSED_ON})
    made_folder(out / "scheduler")
    _write_json(out / "scheduler" / "scheduler_config.json", scheduler_config(checkpoint.identity, checkpoint.schedule))
    others = {name: PASSED_ON[name] for name in made} | {"scheduler": ("diffusers", "DDIMScheduler")}
    _write_json(out / INDEX, pipeline_index(checkpoint.parts, checkpoint.identity, others))
    lacking = () if made else ("No tokenizer was at hand; copy the folders tokenizer and tokenizer_2 of a like model.",)
    return _notes(checkpoint) + lacking


def _tokenizers(checkpoint: Checkpoint, family: Family, out: Path, given: Mapping[str, Path]) -> list[str]:
    """Put the tokenizers into the folder; the names of their components."""
    made = [name for name, path in given.items() if path.is_dir()]
    for name in made:
        copytree(given[name], out / name)
    for role, pad in zip(_text_roles(family), TEXT_FAMILIES[family].pads, strict=True):
        name, part = TOKENIZER_OF[role], checkpoint.parts.get(role)
        known = part and isinstance(part.spec, TextSpec) and part.spec.vocabulary == clip_tokenizer().vocabulary
        if known and name not in made:
            clip_tokenizer().save_diffusers(out / name, pad)
            made.append(name)
    return made


def metadata(checkpoint: Checkpoint, facts: FamilyFacts, title: str) -> dict[str, str]:
    """What a single file says of itself: for everybody in the words of ModelSpec 1.0, and for us exactly."""
    identity = checkpoint.identity
    architecture = facts.architecture
    if identity.family == "sd2":
        architecture += "-768-v" if identity.prediction == "v" else "-512"
    if identity.variant == "inpaint":
        architecture = architecture.replace("-512", "") + "-inpainting"
    side = identity.resolution or facts.resolution
    own = {"family": identity.family, "prediction": identity.prediction, "schedule": asdict(checkpoint.schedule)}
    large = identity.family not in ("sd1", "sd2")
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": architecture,
        "modelspec.implementation": "https://github.com/Stability-AI/generative-models"
        if large
        else "https://github.com/CompVis/stable-diffusion",
        "modelspec.title": title,
        "modelspec.resolution": f"{side}x{side}",
        "modelspec.prediction_type": MODELSPEC_PREDICTIONS[identity.prediction],
        KEY: own_description(checkpoint, own),
    }


def _text_roles(family: Family | None) -> tuple[Role, ...]:
    if family in ("sd1", "sd2"):
        return ("text_encoder",)
    return ("text_encoder_2",) if family == "sdxl-refiner" else ("text_encoder", "text_encoder_2")


def _notes(checkpoint: Checkpoint) -> tuple[str, ...]:
    missing = checkpoint.identity.missing
    notes = (f"Its autoencoder is {checkpoint.vae_origin}.",) if checkpoint.vae_origin else ()
    if missing:
        notes += (f"The {' and the '.join(missing)} of the model {'is' if len(missing) == 1 else 'are'} missing.",)
    return notes


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
