"""Which autoencoder belongs to which denoiser, told by what is in the files and how the networks behave."""

from fictile.matching.subjects import DenoiserSubject, VaeSubject
from fictile.matching.verdict import THRESHOLD, Evidence, SpaceDecision, Verdict

__all__ = ["THRESHOLD", "DenoiserSubject", "Evidence", "SpaceDecision", "VaeSubject", "Verdict"]
