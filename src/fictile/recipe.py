"""How a picture was made: written into the picture's file, and enough to make it again."""

import json
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from fictile.checkpoint.fields import from_json
from fictile.checkpoint.folder import BUNDLED
from fictile.denoiser import EXACT
from fictile.engine import EAGER, PRECISIONS, Runtime, choose_runtime
from fictile.errors import RequestError
from fictile.latent import SUFFIX, Latent, read_notes
from fictile.latent.mix import by_name
from fictile.picture import Mask, read_text
from fictile.sampling import A1111_SAMPLERS, A1111_SCHEDULES

KEY, PARAMETERS = "fictile", "parameters"  # texts in a picture's file: our JSON, and the line of AUTOMATIC1111's web UI
IN_LATENT = "recipe"  # metadata entry of a latent file: the recipe of the first of its pictures
MIXED = "mix"  # another: what it is a mix of

PICTURE_GUIDANCE = 1.5  # of models that see a picture (arXiv 2211.09800, section 3.2.1: "1 to 1.5")
FEATHER, PADDING = 8.0, 32  # pixels around a mask: over which an edit fades, and that an edit of the masked part sees


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What an edit did to a picture, and the proof of what it left alone."""

    input: str  # SHA-256 of the input's samples, see `Source.untouched_hash`
    mask: str | None = None  # `Mask.to_text` of what might change, of the input's size; None: all of it
    feather: float = FEATHER  # pixels around the mask over which the edit fades
    outpaint: tuple[int, int, int, int] = (0, 0, 0, 0)  # pixels that the canvas grew by: left, top, right, bottom
    only_masked: bool = False  # whether the model saw the mask's surroundings alone, at its own size
    padding: int = PADDING  # how many pixels of surroundings it saw then
    match_colours: bool = True  # whether the colours were corrected by what the surroundings came back as
    picture_guidance: float = PICTURE_GUIDANCE  # of models that see a picture
    cover: bool = False  # whether what was transparent became opaque where it was edited
    untouched: str = ""  # SHA-256 of the samples that neither mask nor feather reach, in input and output alike


@dataclass(frozen=True, kw_only=True)
class MixSource:
    """One of the two that became a mix."""

    name: str | None  # of its file, without the folder
    sha256: str  # of its pixels, or its values if it was a latent


@dataclass(frozen=True, kw_only=True)
class Mix:
    """How two latents became the one that a picture started from: see `latent.mix`."""

    how: str
    first: MixSource
    second: MixSource
    weight: float | None = None  # each of these is None where that way to mix does not know it
    radius: float | None = None
    mask: str | None = None  # `Mask.to_text`
    at: tuple[int, int] | None = None
    feather: float | None = None

    def __str__(self) -> str:
        return f"a mix of {self.first.name or 'one'} and {self.second.name or 'another'} ({self.how})"

    def __call__(self, first: Latent, second: Latent) -> Latent:
        """The two, mixed so. Raises RequestError as the functions of `latent.mix` do."""
        where = None if self.mask is None else Mask.from_text(self.mask).amount
        return by_name(
            first,
            second,
            self.how,
            weight=self.weight,
            radius=self.radius,
            mask=where,
            at=self.at,
            feather=self.feather,
        )

    def to_json(self) -> str:
        """One JSON object, as `from_json` takes it."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, where: str) -> "Mix":
        """Read what `to_json` wrote. Raises RequestError as `Recipe.from_json` does."""
        return from_json(cls, _parsed(text, where), where)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides how one picture comes out.

    In its texts, lone surrogates (a command line's undecodable bytes) become "?", as they do for the tokenizer: a file
    cannot hold them.
    """

    prompt: str
    negative: str
    seed: int  # of this picture
    index: int  # of this picture among those made together; the first had seed - index
    count: int  # pictures made together: the last bits of a picture depend on its company
    size: tuple[int, int]  # height and width
    steps: int
    sampler: str
    schedule: str
    guidance: float
    guidance_rescale: float
    guidance_interval: tuple[float, float]
    speed: str = EXACT  # how much of the denoiser's work was left out; older recipes do not say, and left out none
    strength: float  # how much of the init picture might change
    weighting: str = "none"  # how brackets in the prompts were read; older recipes do not say, and read none
    clip_skip: int = 1
    init: str | None  # SHA-256 of the init picture's pixels
    mix: Mix | None = None  # what the init picture was, if it was a mix
    edit: Edit | None = None  # of an edited picture
    history: tuple["Recipe", ...] = ()  # of an edited picture: what made its input, the oldest first

    model: str
    model_hash: str | None  # SHA-256; None where the model never was a file
    vae_hash: str | None
    unet_hash: str | None
    text_hash: str | None
    space: str
    vae_origin: str = BUNDLED  # which autoencoder it was and why, for people
    vae_forced: bool = False  # taken although it is of another space

    precision: str
    decode_precision: str
    device: str
    group: int | None = None  # pictures that were denoised at once, where not all were
    backend: str = EAGER  # who ran the networks; older recipes do not say
    tiling: str = "auto"  # whether it was decoded in bands of rows: "on" or "off"; older recipes do not say
    threads: int
    notes: tuple[str, ...] = ()  # what the run had to do otherwise than asked
    fictile: str  # versions
    torch: str

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, str):
                object.__setattr__(self, name, value.encode(errors="replace").decode())

    @property
    def runtime(self) -> Runtime:
        """Where and in which precision it was made. Raises RequestError when this machine cannot offer that."""
        if self.decode_precision not in PRECISIONS or self.threads < 1:
            raise RequestError(
                f"The recipe decoded in {self.decode_precision!r} with {self.threads} threads, which cannot be; "
                "it was changed by hand, so make the picture again with `generate`."
            )
        chosen = choose_runtime(self.device, self.precision, self.backend)
        return replace(chosen, decode_dtype=PRECISIONS[self.decode_precision], threads=self.threads)

    def to_json(self) -> str:
        """One JSON object, as `from_json` takes it."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, where: str = "a recipe") -> "Recipe":
        """Read what `to_json` wrote.

        Raises RequestError when the text is no JSON, or has fields that this version does not know.
        """
        return from_json(cls, _parsed(text, where), where)

    @classmethod
    def read(cls, path: str | Path) -> "Recipe":
        """The recipe in a picture or a latent that Fictile wrote. Raises RequestError when there is none."""
        latent = Path(path).name.endswith(SUFFIX)
        text, key = (read_notes(path), IN_LATENT) if latent else (read_text(path), KEY)
        if key not in text:
            raise RequestError(f"{path} carries no recipe of Fictile; give a picture as Fictile saved it.")
        return cls.from_json(text[key], f"the recipe in {path}")

    def later(self, by: int) -> "Recipe":
        """That of the picture `by` places on among those made together."""
        return replace(self, seed=self.seed + by, index=self.index + by)

    def text_chunks(self) -> dict[str, str]:
        """What goes into the picture's file."""
        return {KEY: self.to_json(), PARAMETERS: self.parameters()}

    def parameters(self) -> str:
        """The same in the words of AUTOMATIC1111's web UI, which many tools read."""
        height, width = self.size
        values: dict[str, object | None] = {
            "Steps": self.steps,
            "Sampler": A1111_SAMPLERS.get(self.sampler, self.sampler),
            "Schedule type": A1111_SCHEDULES.get(self.schedule, self.schedule),
            "CFG scale": f"{self.guidance:g}",
            "Seed": self.seed,
            "Size": f"{width}x{height}",
            "Model hash": self.model_hash and self.model_hash[:10],
            "Model": self.model,
            "VAE": Path(self.vae_origin.partition(", ")[0]).name if self.vae_origin != BUNDLED else None,
            "VAE hash": self.vae_hash and self.vae_hash[:10],
            "Denoising strength": f"{self.strength:g}" if self.init or self.edit else None,
            "Mask blur": f"{self.edit.feather:g}" if self.edit and self.edit.mask else None,
            "Clip skip": self.clip_skip if self.clip_skip > 1 else None,
            "Emphasis": _EMPHASIS.get(self.weighting) if re.search(r"[()\[\]]", self.prompt + self.negative) else None,
            "RNG": "CPU",  # whose noise it is; the web UI draws it on the GPU unless told
            "Version": f"Fictile {self.fictile}",
        }
        last = ", ".join(f"{name}: {_quoted(str(value))}" for name, value in values.items() if value is not None)
        return "\n".join([self.prompt, *([f"Negative prompt: {self.negative}"] if self.negative else []), last])

    def differences(self, other: "Recipe") -> tuple[str, ...]:
        """One phrase for each field in which `other` differs: "threads is 4, was 2"."""
        return tuple(
            f"{name} is {getattr(other, name)}, was {getattr(self, name)}"
            for name in (field.name for field in fields(self))
            if getattr(other, name) != getattr(self, name)
        )


def _parsed(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RequestError(f"No JSON can be read from {where}; the file was changed after it was made.") from None


_EMPHASIS = {"no_norm": "No norm", "none": "None"}  # in the web UI's words, where it is not the usual


def _quoted(value: str) -> str:
    """As JSON where the line could not be taken apart again otherwise."""
    return json.dumps(value, ensure_ascii=False) if re.search(r'[,:\n"]', value) else value
