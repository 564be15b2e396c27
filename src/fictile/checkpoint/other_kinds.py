"""Files that belong beside a model and are none: named for what they are, lest one waits for a picture of them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from fictile.checkpoint.weights import Weights


@dataclass(frozen=True, kw_only=True)
class OtherKind:
    """A kind of file, and what its user can do with it."""

    kind: str
    title: str  # with its article
    advice: str


LORA = OtherKind(
    kind="lora", title="a LoRA", advice="it changes a model and is none; give the checkpoint that it was made for"
)
CONTROLNET = OtherKind(
    kind="controlnet",
    title="a ControlNet",
    advice="it steers a model and is none; give the checkpoint that it was made for",
)
ADAPTER = OtherKind(
    kind="adapter", title="an adapter", advice="it steers a model and is none; give the checkpoint that it was made for"
)
EMBEDDING = OtherKind(
    kind="embedding",
    title="an embedding (textual inversion)",
    advice="it is a word of a prompt and no model; give the checkpoint that it was made for",
)
TINY = OtherKind(
    kind="tiny autoencoder",
    title="a tiny autoencoder",
    advice="it stands in for the autoencoder of a model; give the checkpoint that draws",
)
UPSCALER = OtherKind(
    kind="upscaler", title="an upscaler", advice="it enlarges finished pictures and is no model; give a checkpoint"
)
T5 = OtherKind(
    kind="text encoder", title="a T5 text encoder", advice="it is one part of a larger model; give the checkpoint"
)
VISION = OtherKind(
    kind="image encoder", title="an image encoder", advice="it is one part of a larger model; give the checkpoint"
)

# A pattern that names of this kind have, and how many of them make it sure.
_MARKS: tuple[tuple[OtherKind, re.Pattern[str], int], ...] = (
    (
        LORA,
        re.compile(
            r"(.*\.)?(lora_(up|down|[AB]|mid)(\.\w+)?\.weight|lora\.(up|down)\.weight|hada_w[12]_[ab]|lokr_w[12](_[ab])?|oft_\w+|dora_scale)"
            r"|lora_(unet|te\d?)_.*"
        ),
        1,
    ),
    (
        CONTROLNET,
        re.compile(
            r"(control_model\.)?(zero_convs|input_hint_block)\..*|(controlnet_cond_embedding|controlnet_down_blocks)\..*"
        ),
        2,
    ),
    (ADAPTER, re.compile(r"(image_proj|ip_adapter)\..*|adapter\.body\..*|body\.\d+\.block[12]\..*"), 2),
    (
        TINY,
        re.compile(r"(taesd_)?((encoder|decoder)\.)?(layers\.)?\d+\.(weight|conv\.\d\.weight)"),
        4,
    ),
    (UPSCALER, re.compile(r"(body\.\d+\.rdb\d|model\.1\.sub\.\d+\.RDB\d)\..*"), 2),
    (T5, re.compile(r"encoder\.block\.\d+\.layer\.0\.SelfAttention\.q\.weight"), 1),
    (VISION, re.compile(r"(vision_model|visual)\..*"), 10),
)
_EMBEDDINGS = re.compile(r"emb_params|string_to_param\..*|clip_[lg]|<[^>]+>")


def other_kind(weights: Weights) -> OtherKind | None:
    """What the file is instead of a network of a model; None when nothing here fits it."""
    names = list(weights.tensors)
    for kind, pattern, enough in _MARKS:
        if _at_least(enough, (name for name in names if pattern.fullmatch(name))):
            return kind
    flat = all(len(info.shape) <= 2 and max(info.shape, default=0) <= 4096 for info in weights.tensors.values())
    if names and len(names) <= 4 and flat and any(_EMBEDDINGS.fullmatch(name) for name in names):
        return EMBEDDING
    return None


def adapted_family(weights: Weights) -> str | None:
    """The family whose text a LoRA or a ControlNet listens to, by the width of its cross attention; None if unseen."""
    widths = {
        info.shape[-1]
        for name, info in weights.tensors.items()
        if len(info.shape) == 2
        and re.search(r"attn2[._]to_[kv]\.?(_lora)?.*?(lora_down|lora_A|lora\.down|weight)", name)
    }
    return next((family for width, family in ((2048, "sdxl"), (1024, "sd2"), (768, "sd1")) if width in widths), None)


def _at_least(enough: int, found: Iterable[str]) -> bool:
    return len(list(islice(found, enough))) == enough
