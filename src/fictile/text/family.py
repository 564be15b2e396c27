"""How each family of published models reads its text encoders, as data."""

from collections.abc import Mapping
from dataclasses import dataclass

from fictile.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class TextFamily:
    """Which layer of which text transformers a denoiser was trained on, and what else it is told."""

    pads: tuple[int, ...]  # one per text transformer: what fills its rows after the end token
    skip: int = 1  # the layer that is read, counted from the end of the published transformer: 1 is the last
    layers: int | None = (
        None  # where released files differ in how many they hold: the layer that is read, from the start
    )
    final_norm: bool = True  # of the layer that is read
    pooled: bool = False  # the last transformer's pooled vector is given too, and the picture's sizes with it
    scores: tuple[float, float] | None = None  # in place of the target size: aesthetic scores, wanted and unwanted
    zero_empty: bool = False  # an empty negative prompt is all zeros and not the features of an empty text

    def layer(self, layers: int, clip_skip: int = 1) -> int:
        """Which of the hidden states of a transformer of `layers` layers is read; 0 would be the embedding.

        `clip_skip` counts as AUTOMATIC1111's web UI does: 1 is the last layer, 2 the one before it. What lies above
        the family's own layer was never trained to be read, so that numbers up to `skip` all give that layer.

        Raises RequestError below 1, and beyond the first layer.
        """
        own = min(layers, self.layers) if self.layers else layers + 1 - self.skip
        layer = own - max(clip_skip - self.skip, 0)
        if clip_skip < 1 or layer < 1:
            raise RequestError(
                f"Clip skip {clip_skip} is out of range: give 1 (what the model was trained with) to "
                f"{own + self.skip - 1} (the first layer of its text transformer)."
            )
        return layer

    def sizes(self, size: tuple[int, int], *, wanted: bool) -> tuple[float, ...]:
        """SDXL's numbers (arXiv 2307.01952, sections 2.2 and 2.3) for a picture of this height and width.

        The original size, the crop's upper left corner and the target size, each height before width: an uncropped
        picture that always was of this size. The refiner has an aesthetic score in place of the target size.
        """
        height, width = map(float, size)
        if self.scores is None:
            return (height, width, 0.0, 0.0, height, width)
        return (height, width, 0.0, 0.0, self.scores[0 if wanted else 1])


CLIP_END = 49407  # CLIP-L is padded with its end token, OpenCLIP's transformers with token 0 ("!")

SD1 = TextFamily(pads=(CLIP_END,))
"""Stable Diffusion 1.x: the last layer of CLIP-L, normed (arXiv 2112.10752)."""

SD2 = TextFamily(pads=(0,), skip=2, layers=23)
"""Stable Diffusion 2.x: the penultimate layer of OpenCLIP-H, normed (github.com/Stability-AI/stablediffusion,
configs/stable-diffusion/v2-inference-v.yaml). Folders of diffusers hold 23 of its 24 layers, single files all."""

SDXL = TextFamily(pads=(CLIP_END, 0), skip=2, final_norm=False, pooled=True, zero_empty=True)
"""Stable Diffusion XL, SSD-1B and Vega: the penultimate layers of CLIP-L and OpenCLIP-G side by side, neither normed,
and the pooled vector of G (arXiv 2307.01952, section 2.1; generative-models, configs/inference/sd_xl_base.yaml). In
training zeros stood for a text that was left out, and so they do for an empty negative prompt (as in diffusers, its
`force_zeros_for_empty_prompt`, and in the web UI)."""

SDXL_REFINER = TextFamily(pads=(0,), skip=2, final_norm=False, pooled=True, scores=(6.0, 2.5))
"""SDXL's refiner: OpenCLIP-G alone (generative-models, configs/inference/sd_xl_refiner.yaml; the scores are diffusers'
and its demo's)."""

TEXT_FAMILIES: Mapping[str, TextFamily] = {
    "sd1": SD1,
    "sd2": SD2,
    "sdxl": SDXL,
    "ssd-1b": SDXL,
    "vega": SDXL,
    "sdxl-refiner": SDXL_REFINER,
}
