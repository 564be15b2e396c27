"""Which autoencoder belongs to which denoiser, told by what is in the files and how the networks behave."""

from fictile.matching.bake import open_to_convert
from fictile.matching.decide import decide_space
from fictile.matching.match import match
from fictile.matching.opened import open_denoiser, open_vae
from fictile.matching.preview import Preview, open_preview
from fictile.matching.subjects import DenoiserSubject, VaeSubject
from fictile.matching.verdict import THRESHOLD, Evidence, SpaceDecision, Verdict

__all__ = [
    "THRESHOLD",
    "DenoiserSubject",
    "Evidence",
    "Preview",
    "SpaceDecision",
    "VaeSubject",
    "Verdict",
    "decide_space",
    "match",
    "open_denoiser",
    "open_preview",
    "open_to_convert",
    "open_vae",
]
