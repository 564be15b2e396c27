"""The folders of diffusers' pipelines: model_index.json, and one folder for each component."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from fictile.autoencoder import Normalisation
from fictile.checkpoint.assemble import batch_norm
from fictile.checkpoint.autoencoder_configs import (
    CLASSES,
    autoencoder_config,
    autoencoder_part,
    class_of,
    normalisation_in,
)
from fictile.checkpoint.config_file import CONFIG, read_config
from fictile.checkpoint.diffusers import UNET, unet_config, unet_part
from fictile.checkpoint.families import Family
from fictile.checkpoint.fields import from_json
from fictile.checkpoint.hub import INDEX
from fictile.checkpoint.identify import Identity, Parts, class_family, describe
from fictile.checkpoint.parts import Part, Role
from fictile.checkpoint.prediction import NAMES, Predicts
from fictile.checkpoint.read import find_weights
from fictile.checkpoint.shapes import text_in
from fictile.checkpoint.weights import Weights
from fictile.denoiser import UNetSpec
from fictile.errors import RequestError
from fictile.schedule import DDPM
from fictile.text import TextSpec

TEXT, TEXT_PROJECTED = "CLIPTextModel", "CLIPTextModelWithProjection"
SCHEDULER = "scheduler/scheduler_config.json"
_LEGACY_END = 2  # in configurations from before transformers 4.24: there it meant nothing, the largest id was the end


def is_pipeline(folder: Path) -> bool:
    """Whether the folder is one of diffusers: of a pipeline, or of one component."""
    return (folder / INDEX).is_file() or (folder / CONFIG).is_file()


def open_pipeline(folder: Path, variant: str | None = None) -> tuple[Identity, Parts, Normalisation | None, DDPM]:
    """What a folder holds, the networks in it, the normalisation of its autoencoder and the noise schedule; nothing is
    loaded. `variant` chooses among weights, as in diffusers: "fp16".

    Raises RequestError when a component is missing, damaged, or one that Fictile does not have.
    """
    index = _json(folder / INDEX) if (folder / INDEX).is_file() else {}
    parts: dict[Role, Part] = {}
    normalisation = None
    for role in _ROLES:
        inner = folder / role if index else folder
        if index and not (role in index and _class(index, role)):
            continue
        if not (inner / CONFIG).is_file():
            if index:
                raise RequestError(
                    f"{folder / INDEX} names {role}, but there is no {inner / CONFIG}; copy the folder again."
                )
            continue
        config = _json(inner / CONFIG)
        name = str(config.get("_class_name") or (config.get("architectures") or ["nothing"])[0])
        if role == "unet" and name == UNET:
            parts[role] = unet_part(inner, read_config(inner), variant)
        elif role == "vae" and name in CLASSES:
            parts[role] = autoencoder_part(inner, read_config(inner), variant)
            normalisation = normalisation_in(config, inner) or batch_norm(parts[role].weights)
        elif name in (TEXT, TEXT_PROJECTED) and role.startswith("text") and (index or role == "text_encoder"):
            parts[role] = text_part(inner, config, role, variant)
    named = str(index.get("_class_name") or _json(folder / CONFIG).get("_class_name"))
    family = class_family(named)
    if not parts and family is None:
        raise RequestError(f"{folder} holds diffusers' {named}, which Fictile does not know; give a Stable Diffusion.")
    scheduler = _json(folder / SCHEDULER) if (folder / SCHEDULER).is_file() else {}
    said = str(scheduler.get("prediction_type"))
    answer = None
    if "sigma_data" in scheduler or str(scheduler.get("_class_name")).startswith(("EDM", "FlowMatch")):
        answer = Predicts(None, f"{SCHEDULER} is a {scheduler.get('_class_name')}: noise of another kind.")
    elif "prediction_type" in scheduler and said not in NAMES:
        answer = Predicts(None, f"{SCHEDULER} has prediction_type {said!r}, which is not known here.")
    elif said in NAMES:
        answer = Predicts(
            NAMES[said], f"{SCHEDULER} has prediction_type {said!r}.", scheduler.get("rescale_betas_zero_snr", False)
        )
    identity = describe(_all(folder, parts), parts, family=family, format_="folder", metadata={}, said=answer)
    schedule = _schedule(scheduler, folder) if "unet" in parts else DDPM()  # of the others only the autoencoder is used
    return identity, parts, normalisation, schedule


def text_part(folder: Path, config: Mapping[str, Any], role: Role, variant: str | None = None) -> Part:
    """A text encoder as its configuration describes it. Raises RequestError for one that Fictile does not have."""
    projected = TEXT_PROJECTED in (config.get("architectures") or [])
    vocabulary, end = config.get("vocab_size", 49408), config.get("eos_token_id", 49407)
    legacy = end == _LEGACY_END
    activation = config.get("hidden_act", "quick_gelu")
    width = config.get("hidden_size", 512)
    if config.get("intermediate_size", 2048) != 4 * width or config.get("layer_norm_eps", 1e-5) != 1e-5:
        raise RequestError(
            f"{folder / CONFIG} has an intermediate_size or a layer_norm_eps that no CLIP has that Fictile knows; "
            "give another text encoder."
        )
    end = vocabulary - 1 if legacy else end
    fields = {
        "vocabulary": vocabulary,
        "width": width,
        "layers": config.get("num_hidden_layers", 12),
        "heads": config.get("num_attention_heads", 8),
        "context": config.get("max_position_embeddings", 77),
        "activation": activation,
        "projection": config.get("projection_dim", 512) if projected else None,
        "begin": vocabulary - 2 if legacy else config.get("bos_token_id", 49406),
        "end": end,
        "pad": end if activation == "quick_gelu" else 0,
    }
    weights = find_weights(folder, "model", variant)
    found = text_in(weights)
    spec = from_json(TextSpec, fields, str(folder / CONFIG))
    return Part(role=role, spec=spec, naming=found[1] if found else "transformers", weights=weights)


def text_config(spec: TextSpec) -> dict[str, object]:
    """config.json of a text encoder, for transformers."""
    return {
        "architectures": [TEXT_PROJECTED if spec.projection else TEXT],
        "attention_dropout": 0.0,
        "bos_token_id": spec.begin,
        "eos_token_id": spec.end,
        "hidden_act": spec.activation,
        "hidden_size": spec.width,
        "intermediate_size": 4 * spec.width,
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": spec.context,
        "model_type": "clip_text_model",
        "num_attention_heads": spec.heads,
        "num_hidden_layers": spec.layers,
        "pad_token_id": spec.pad,
        "projection_dim": spec.projection or spec.width,
        "vocab_size": spec.vocabulary,
    }


def component_config(part: Part, normalisation: Normalisation | None, family: Family) -> dict[str, object]:
    """config.json of a component."""
    if isinstance(part.spec, UNetSpec):
        return unet_config(part.spec)
    if isinstance(part.spec, TextSpec):
        return text_config(part.spec)
    return autoencoder_config(class_of(part), part.spec, normalisation, upcast=family.startswith("sdxl"))


def pipeline_index(parts: Parts, identity: Identity, others: Mapping[str, tuple[str, str]]) -> dict[str, object]:
    """model_index.json; `others` are components without weights (tokenizers, a scheduler), with library and class."""
    large, refines = identity.family not in ("sd1", "sd2"), identity.family == "sdxl-refiner"
    does = {"inpaint": "Inpaint", "instruct-pix2pix": "InstructPix2Pix"}.get(
        identity.variant or "", "Img2Img" if refines else ""
    )
    kind = f"StableDiffusion{'XL' if large else ''}{does}Pipeline"
    components: dict[str, tuple[str, str] | tuple[None, None]] = {
        role: component_class(part) for role, part in parts.items()
    }
    absent = ["text_encoder_2", "tokenizer_2"] if large else ["safety_checker", "feature_extractor"]
    components |= dict.fromkeys(("text_encoder", "tokenizer", *absent), (None, None)) | components | dict(others)
    settings: dict[str, object] = {"force_zeros_for_empty_prompt": not refines} if large else {}
    if refines:
        settings["requires_aesthetics_score"] = True
    return {"_class_name": kind, "_diffusers_version": "0.30.0", **settings, **dict(sorted(components.items()))}


def component_class(part: Part) -> tuple[str, str]:
    """The library of a component and its class there."""
    if isinstance(part.spec, TextSpec):
        return "transformers", TEXT_PROJECTED if part.spec.projection else TEXT
    return "diffusers", UNET if isinstance(part.spec, UNetSpec) else class_of(part)


def scheduler_config(identity: Identity, schedule: DDPM) -> dict[str, object]:
    """scheduler_config.json of the noise schedule, for diffusers' DDIM (arXiv 2010.02502)."""
    return {
        "_class_name": "DDIMScheduler",
        "beta_end": schedule.beta_end,
        "beta_schedule": "scaled_linear",
        "beta_start": schedule.beta_start,
        "clip_sample": False,
        "num_train_timesteps": schedule.steps,
        "prediction_type": {"v": "v_prediction", "x0": "sample"}.get(identity.prediction or "", "epsilon"),
        "rescale_betas_zero_snr": schedule.zero_terminal_snr,
        "set_alpha_to_one": False,
        "steps_offset": 1,
        "timestep_spacing": "trailing" if schedule.zero_terminal_snr else "leading",
    }


def _schedule(scheduler: Mapping[str, Any], folder: Path) -> DDPM:
    kind = scheduler.get("beta_schedule", "scaled_linear")
    if kind != "scaled_linear":
        raise RequestError(
            f"{folder / SCHEDULER} has beta_schedule {kind!r}, but Fictile knows these models only with scaled_linear; "
            "give another model."
        )
    given = {"steps": "num_train_timesteps", "beta_start": "beta_start", "beta_end": "beta_end"}
    fields = {ours: scheduler[theirs] for ours, theirs in given.items() if theirs in scheduler}
    schedule = from_json(DDPM, fields, str(folder / SCHEDULER))
    return replace(schedule, zero_terminal_snr=bool(scheduler.get("rescale_betas_zero_snr", False)))


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise RequestError(f"{path} is damaged: a JSON object was expected; copy the folder again.")
    return cast(dict[str, Any], content)


def _class(index: Mapping[str, Any], role: str) -> str | None:
    entry = index[role]
    if not (isinstance(entry, list) and len(cast(list[Any], entry)) == 2):
        raise RequestError(f"{role} in {INDEX} is {entry!r}, but a library and a class were expected; copy it again.")
    return cast(list[str | None], entry)[1]


def _all(folder: Path, parts: Parts) -> Weights:
    """The weights of all components as one, for what is said of the whole."""
    weights = [part.weights for part in parts.values()]
    return Weights(
        path=folder,
        format="safetensors",
        tensors={f"{role}.{name}": info for role, part in parts.items() for name, info in part.weights.tensors.items()},
        metadata={},
        size=sum(each.size for each in weights),
        read=lambda name, dtype=None: parts[cast(Role, name.partition(".")[0])].weights.read(
            name.partition(".")[2], dtype
        ),
        files=tuple(file for each in weights for file in each.files),
        notes=tuple(note for each in weights for note in each.notes),
    )


_ROLES: tuple[Role, ...] = ("unet", "vae", "text_encoder", "text_encoder_2")
