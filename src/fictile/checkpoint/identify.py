"""What a file of weights is: told from names, shapes and metadata. Of the values, one small tensor is read where only
it can tell (what a Stable Diffusion 2 predicts).
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from fictile.autoencoder import KINDS, DCSpec, KLSpec, TinySpec, WanSpec
from fictile.autoencoder import Spec as AutoencoderSpec
from fictile.checkpoint.families import (
    CLASSES,
    EMA_PREFIX,
    FAMILIES,
    IN_CHANNELS,
    LUMINA,
    MARKS,
    TEXT_PREFIXES,
    TITLES,
    UNET_PREFIXES,
    VAE_PREFIXES,
    Family,
    Variant,
    family_of,
)
from fictile.checkpoint.fields import from_json
from fictile.checkpoint.header import TensorInfo
from fictile.checkpoint.native import KEY
from fictile.checkpoint.other_kinds import CONTROLNET, LORA, OtherKind, adapted_family, other_kind
from fictile.checkpoint.parts import BESIDE, Part, Role
from fictile.checkpoint.prediction import Predicts, predicts
from fictile.checkpoint.released import naming_in, released_in
from fictile.checkpoint.shapes import Naming, Spec, kl_in, text_in, unet_in
from fictile.checkpoint.weights import Weights
from fictile.denoiser import UNetSpec
from fictile.text import TextSpec

# Parts of single files that hold networks which are not built here, or copies.
_BESIDE_UNDER = ("model_ema.", "loss.", "depth_model.", "noise_augmentor.", "embedder.")


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a file or folder is. What does not apply is None or empty."""

    kind: str  # "model", "denoiser", "autoencoder", "text encoder", "lora", "controlnet", "embedding", ..., "unknown"
    title: str  # the same for people, with its article
    format: str  # "safetensors", "pickle", "gguf", "folder"
    supported: bool  # whether its denoiser (of a part alone: that part) can be built here
    family: Family | None = None
    variant: Variant | None = None
    prediction: str | None = None  # "eps", "v"; None where it is not known here (EDM)
    prediction_reason: str = ""
    zero_terminal_snr: bool = False
    resolution: int | None = None  # side of the pictures it was trained on, in pixels
    precision: str = ""  # "F16", or several with their shares
    parameters: int = 0
    bundled: tuple[str, ...] = ()  # the networks that are there, for people
    missing: tuple[str, ...] = ()  # and those that a whole model of the family has beside them
    ema: int = 0  # tensors of an averaged copy of the U-Net
    unexpected: tuple[str, ...] = ()  # tensors that belong to nothing known
    problems: tuple[str, ...] = ()  # why it cannot be loaded, a sentence each
    notes: tuple[str, ...] = ()  # what else a user should know, a sentence each


Parts = Mapping[Role, Part]


def identify(weights: Weights) -> Identity:
    """What a single file is. Nothing is raised for what is unknown: the answer says so."""
    return identified(weights)[0]


def identified(weights: Weights) -> tuple[Identity, Parts]:
    """What a single file is, and the networks in it."""
    other = other_kind(weights)
    if other in (LORA, CONTROLNET):
        return _other(weights, other), {}
    parts = _parts(weights)
    named = _named_family(weights)
    if not parts and named is None:
        return (_other(weights, other) if other else _unknown(weights)), {}
    return describe(
        weights, parts, family=named, format_=weights.format, metadata=weights.metadata, beside=_beside(weights, parts)
    ), parts


def describe(
    weights: Weights,
    parts: Parts,
    *,
    family: Family | None,
    format_: str,
    metadata: Mapping[str, str],
    beside: tuple[str, ...] = (),
    said: Predicts | None = None,
) -> Identity:
    """The identity of networks that were found in a file or a folder.

    `family` is one whose denoiser is not built here, `beside` names tensors that belong to none of the parts, `said`
    is a prediction that stands in a configuration.
    """
    unet = parts.get("unet")
    texts = [parts[role] for role in ("text_encoder", "text_encoder_2") if role in parts]
    variant: Variant | None = None
    notes = list(weights.notes)
    if unet is not None and isinstance(unet.spec, UNetSpec) and family is None:
        family, published = family_of(unet.spec, len(texts))
        variant = _variant(unet)
        if not published:
            notes.append(_own_sizes(family, metadata, format_))
    supported = family in FAMILIES and variant != "unclip" if unet else family is None
    answer = said or (predicts(unet, family, variant, weights, metadata) if unet and family else None)
    expected: list[Role] = ["unet", "vae"]
    if facts := FAMILIES.get(family) if family else None:
        both: list[Role] = ["text_encoder", "text_encoder_2"]
        expected += both[1:] if family == "sdxl-refiner" else both[: len(facts.texts)]
    whole = (unet is not None and len(parts) > 1) or (family is not None and unet is None)
    kind = "model" if whole else _KINDS[next(iter(parts))]
    built: dict[Role, Part] = {role: part for role, part in parts.items() if role != "unet" or supported}
    problems = [problem for part in built.values() if (problem := part.problem())]
    problems += _mixed(weights, built)
    if family and not supported:
        what = "for an image embedding as well (unCLIP)" if variant == "unclip" else f"of {TITLES[family]}"
        use = "; its autoencoder can be used" if "vae" in parts else ""
        notes.append(f"A denoiser {what} is not supported yet{use}.")
    if answer and answer.prediction is None:
        notes.append(f"{answer.reason} That prediction is not supported yet.")
        supported = False
    ema = sum(name.startswith("model_ema.") for name in weights.tensors)
    missing = [_MISSING[role] for role in expected if role not in parts] if unet and supported else []
    return Identity(
        kind=kind,
        title=_title(kind, family, variant, parts),
        format=format_,
        supported=supported,
        family=family,
        variant=variant,
        prediction=answer.prediction if answer else None,
        prediction_reason=answer.reason if answer else "",
        zero_terminal_snr=bool(answer and answer.zero_terminal_snr),
        resolution=_resolution(metadata, family, answer),
        precision=precision(weights.tensors.values()),
        parameters=sum(info.count for info in weights.tensors.values()),
        bundled=tuple(part.label for part in parts.values()),
        missing=tuple(missing),
        ema=ema,
        unexpected=beside,
        problems=tuple(problems),
        notes=tuple(notes),
    )


def precision(tensors: Iterable[TensorInfo]) -> str:
    """The type of all values, or every type with its share; empty for no tensors."""
    counts = Counter[str]()
    for tensor in tensors:
        counts[tensor.dtype] += tensor.count
    if len(counts) <= 1:
        return next(iter(counts), "")
    return ", ".join(f"{dtype} {count / max(counts.total(), 1):.0%}" for dtype, count in counts.most_common())


def class_family(name: str) -> Family | None:
    """The family of a class of diffusers whose denoiser is not built here."""
    return next((family for start, family in CLASSES.items() if name.startswith(start)), None)


def own_words(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What a file of ours says of itself; empty for others."""
    try:
        said = json.loads(metadata.get(KEY, "{}"))
    except (ValueError, RecursionError):
        return {}
    return cast(dict[str, Any], said) if isinstance(said, dict) else {}


def _parts(weights: Weights) -> dict[Role, Part]:
    found: dict[Role, Part] = {}
    for prefix in UNET_PREFIXES:
        inner = weights.under(prefix)
        if "unet" not in found and (unet := unet_in(inner)):
            spec, naming = unet
            found["unet"] = Part(role="unet", spec=spec, naming=naming, weights=inner, prefix=prefix)
    for prefix in VAE_PREFIXES:
        inner = weights.under(prefix)
        if "vae" not in found and (vae := _autoencoder(inner, prefix)):
            spec, naming = vae
            found["vae"] = Part(role="vae", spec=spec, naming=naming, weights=inner, prefix=prefix)
    texts: list[Part] = []
    for prefix in TEXT_PREFIXES:
        inner = weights.under(prefix)
        if text := text_in(inner):
            spec, naming = text
            if prefix == "cond_stage_model.model.":
                spec = _as_read_by_sd2(spec)
            second = "embedders.1." in prefix or "clip_g" in prefix or prefix == "conditioner.embedders.0.model."
            role: Role = "text_encoder_2" if second else "text_encoder"
            texts.append(Part(role=role, spec=spec, naming=naming, weights=inner, prefix=prefix))
    found.update({part.role: part for part in texts})
    words = own_words(weights.metadata)
    found = {role: replace(part, spec=_own_spec(part.spec, words, role, weights)) for role, part in found.items()}
    if "vae" in found and "class" in words:
        found["vae"] = replace(found["vae"], class_name=str(words["class"]))
    return found


def _autoencoder(weights: Weights, prefix: str) -> tuple[AutoencoderSpec, Naming] | None:
    """An autoencoder of any kind; of a file of ours that holds nothing else, the one that it says it holds."""
    words = own_words(weights.metadata)
    kind = KINDS.get(str(words.get("network", "kl")))
    given = words.get("spec") if words.get("kind") == "autoencoder" else words.get("specs", {}).get("vae")
    if given and not prefix and kind:
        spec = from_json(kind, given, f"the spec in {weights.path}")
        return spec, naming_in(spec, weights)
    return kl_in(weights) or released_in(weights)


def _as_read_by_sd2(spec: TextSpec) -> TextSpec:
    """Stable Diffusion 2 reads what the last layer but one made, and has no use for the last and the projection."""
    return replace(spec, layers=spec.layers - 1 if spec.layers == 24 else spec.layers, projection=None)


def _own_spec(spec: Spec, words: Mapping[str, Any], role: Role, weights: Weights) -> Spec:
    """The spec that a file of ours gives, where shapes cannot tell all of it."""
    given = words.get("specs", {}).get(role) or (words.get("spec") if words.get("kind") != "latent" else None)
    return from_json(type(spec), given, f"the spec of {role} in {weights.path}") if given else spec


def _named_family(weights: Weights) -> Family | None:
    """A family whose denoiser is not built here, by its mark."""
    for prefix in UNET_PREFIXES:
        for mark, family in MARKS:
            if prefix + mark in weights:
                pixart = family == "ltx" and prefix + "pos_embed.proj.weight" in weights
                return "pixart" if pixart else family
        if shape := weights.shape(prefix + LUMINA):
            return "z-image" if shape[0] == 3840 else "lumina2"
    if any(name.startswith("conditioner.embedders.0.open_clip.model.visual.") for name in weights.tensors):
        return "svd"
    return None


def _variant(unet: Part) -> Variant | None:
    if "label_emb.0.0.weight" in unet.weights and isinstance(unet.spec, UNetSpec) and unet.spec.context_width == 1024:
        return "unclip"
    if "class_embedding.linear_1.weight" in unet.weights:
        return "unclip"
    return IN_CHANNELS.get(unet.spec.in_channels) if isinstance(unet.spec, UNetSpec) else None


def _beside(weights: Weights, parts: Parts) -> tuple[str, ...]:
    """Tensors that belong to none of the networks, and are not known to be of no use."""
    prefixes = tuple(part.prefix for part in parts.values())
    if not parts or "" in prefixes:
        return ()
    return tuple(
        name for name in weights.tensors if not name.startswith((*prefixes, *_BESIDE_UNDER)) and name not in BESIDE
    )


def _mixed(weights: Weights, parts: Parts) -> list[str]:
    """Whether the U-Net reads what the text encoders and the autoencoder make."""
    unet, vae = parts.get("unet"), parts.get("vae")
    if unet is None or not isinstance(unet.spec, UNetSpec):
        return []
    problems: list[str] = []
    texts = [part.spec for part in parts.values() if isinstance(part.spec, TextSpec)]
    made, read = sum(spec.width for spec in texts), unet.spec.context_width
    both = "text_encoder_2" not in parts or "text_encoder" in parts  # of XL's two, the first can be missing
    if texts and both and made != read and not (unet.spec.added_width and len(texts) == 1):
        problems.append(
            f"{weights.path} mixes families: its U-Net reads {read} features per token, but its text encoder makes "
            f"{made}; get the parts of one model."
        )
    if vae and isinstance(vae.spec, AutoencoderSpec) and vae.spec.channels != unet.spec.out_channels:
        problems.append(
            f"{weights.path} mixes families: its U-Net works on latents of {unet.spec.out_channels} channels, but its "
            f"autoencoder makes {vae.spec.channels}; get the parts of one model."
        )
    return problems


def _own_sizes(family: Family, metadata: Mapping[str, str], format_: str) -> str:
    """Shapes do not tell heads, so that those of unpublished sizes are known only where something else says them."""
    sure = format_ == "folder" or "specs" in own_words(metadata)
    guess = "" if sure else "; the number of its attention heads is a guess"
    return f"The U-Net has sizes of its own and is built like that of {TITLES[family]}{guess}."


def _resolution(metadata: Mapping[str, str], family: Family | None, answer: Predicts | None) -> int | None:
    said = metadata.get("modelspec.resolution", "").partition("x")[0]
    if said.isdecimal():
        return int(said)
    facts = FAMILIES.get(family) if family else None
    if facts is None:
        return None
    return 512 if family == "sd2" and answer and answer.prediction == "eps" else facts.resolution


def _title(kind: str, family: Family | None, variant: Variant | None, parts: Parts) -> str:
    if family is None:
        part = next(iter(parts.values()))
        return _AUTOENCODERS[type(part.spec)] if kind == "autoencoder" else f"a {part.label}"
    what = {
        None: "", "base": "", "inpaint": " for inpainting", "depth": " guided by depth", "upscale": " for enlarging",
        "instruct-pix2pix": " that follows instructions (InstructPix2Pix)", "unclip": " for image variations (unCLIP)",
    }[variant]  # fmt: skip
    title = TITLES[family] + what
    if kind == "denoiser":
        return f"the U-Net of {title}"
    return title if title.startswith("the ") else f"a model of {title}"


def _other(weights: Weights, other: OtherKind) -> Identity:
    family = cast(Family | None, adapted_family(weights))
    made_for = f" for {TITLES[family]}" if family else ""
    sentence = f"{weights.path} is {other.title}{made_for}: {other.advice}."
    return replace(
        _unknown(weights), kind=other.kind, title=other.title + made_for, family=family, problems=(sentence,)
    )


def _unknown(weights: Weights) -> Identity:
    count = len(weights.tensors)
    sentence = (
        f"{weights.path} holds {count} tensors of a kind that Fictile does not know "
        f"({', '.join(sorted(weights.tensors)[:3])}, ...); give a checkpoint of Stable Diffusion, or one of its parts."
    )
    return Identity(
        kind="unknown",
        title=f"a file with {count} tensors of a kind that Fictile does not know",
        format=weights.format,
        supported=False,
        precision=precision(weights.tensors.values()),
        parameters=sum(info.count for info in weights.tensors.values()),
        problems=(sentence,),
        notes=weights.notes,
    )


def averaged(parts: Parts, weights: Weights) -> dict[Role, Part]:
    """The parts with the averaged copy of the U-Net in the place of the other one, where the file has it."""
    unet = parts["unet"]
    return {**parts, "unet": replace(unet, weights=weights.under(EMA_PREFIX), prefix=EMA_PREFIX, ema=True)}


_AUTOENCODERS: Mapping[type, str] = {
    KLSpec: "a KL autoencoder",
    DCSpec: "a deep-compression autoencoder (DC-AE)",
    WanSpec: "a causal video autoencoder (Wan, Qwen-Image)",
    TinySpec: "a tiny autoencoder",
}
_KINDS: Mapping[Role, str] = {
    "unet": "denoiser",
    "vae": "autoencoder",
    "text_encoder": "text encoder",
    "text_encoder_2": "text encoder",
}
_MISSING: Mapping[Role, str] = {
    "unet": "U-Net",
    "vae": "autoencoder",
    "text_encoder": "text encoder",
    "text_encoder_2": "second text encoder",
}
