"""What a denoiser predicts, and how that is known."""

from collections.abc import Mapping
from dataclasses import dataclass

from fictile.checkpoint.families import Family, Variant
from fictile.checkpoint.parts import Part
from fictile.checkpoint.weights import Weights
from fictile.schedule import Prediction

# The names that files and configurations have for it.
NAMES: Mapping[str, Prediction] = {
    "epsilon": "eps",
    "eps": "eps",
    "v": "v",
    "v_prediction": "v",
    "v_pred": "v",
    "sample": "x0",
}
# Of the last bias that a Stable Diffusion 2 was trained to have: above in those that predict v, below in the others
# (measured by ComfyUI, comfy/supported_models.py).
SD2_BIAS = "up_blocks.3.attentions.2.transformer_blocks.0.norm1.bias"
SD2_SPREAD = 0.09


@dataclass(frozen=True)
class Predicts:
    """The answer, its reason as a sentence, and whether the last training time holds no signal at all."""

    prediction: Prediction | None  # None: one that is not known here
    reason: str
    zero_terminal_snr: bool = False


def predicts(
    unet: Part, family: Family, variant: Variant | None, weights: Weights, metadata: Mapping[str, str]
) -> Predicts:
    """What the U-Net predicts: by marks in the file, by its metadata, by a measure; else what its family does."""
    if "edm_vpred.sigma_max" in weights or "edm_mean" in weights:
        mark = "edm_mean" if "edm_mean" in weights else "edm_vpred.sigma_max"
        return Predicts(None, f"The file has the tensor {mark}: noise as in EDM.")
    if "v_pred" in weights:
        return Predicts("v", "The file has the tensor v_pred.", "ztsnr" in weights)
    for key in ("modelspec.prediction_type", "modelspec.predict_key"):
        if (said := metadata.get(key, "").lower()) in NAMES:
            return Predicts(NAMES[said], f"Its metadata has {key} {said!r}.", "ztsnr" in weights)
    architecture = metadata.get("modelspec.architecture", "")
    if architecture.startswith("stable-diffusion-v2-"):
        return Predicts(
            "v" if architecture.endswith("-v") else "eps", f"Its metadata has the architecture {architecture}."
        )
    if family == "sd2" and variant == "base" and (name := unet.take(SD2_BIAS).name) in unet.weights:
        spread = unet.weights.read(name).float().std().item()
        side = "above" if spread > SD2_SPREAD else "not above"
        return Predicts(
            "v" if spread > SD2_SPREAD else "eps", f"{name} has a spread of {spread:.3f}, {side} {SD2_SPREAD}."
        )
    return Predicts("eps", "Nothing in the file says otherwise, and its family predicts the noise.")
