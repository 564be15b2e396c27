"""Files of autoencoders that were released, by their SHA-256.

The rule for a line: the file was at hand and was hashed, or at least three public lists that were made apart from each
other give the same hash for the same name. A hash that is not here says nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Released:
    """A file, and the space its latents are in."""

    name: str
    space: str


RELEASED: Mapping[str, Released] = {
    # github.com/madebyollin/taesd: hashed for this table
    "10a4e1021e89d7551eaf161352da8dbd0b1aa83872ae28b150c1df1ce2f147b6": Released("taef2_encoder.pth", "flux2"),
    "0a44a31e1ae59eb9dbf9359d24942fd3ef5928162c1800d97a28c61d51be0ab5": Released("taef2_decoder.pth", "flux2"),
    "858f4e4cc293f88efaf58107f4154b960b9ced0cb5d9c050dad11f926b618c1f": Released("taesana_encoder.pth", "sana"),
    # huggingface.co/stabilityai/sd-vae-ft-mse-original, as download lists on GitHub pin it
    "735e4c3a447a3255760d7f86845f09f937809baa529c17370d83e4c3758f3c75": Released(
        "vae-ft-mse-840000-ema-pruned.safetensors", "sd1"
    ),
    "c6a580b13a5bc05a5e16e4dbb80608ff2ec251a162311590c1f34c013d7f3dab": Released(
        "vae-ft-mse-840000-ema-pruned.ckpt", "sd1"
    ),
    # huggingface.co/stabilityai/sd-vae-ft-ema
    "32db726da04f06c1b6b14c0043ce115cc87a501482945c5add89a40d838fcb46": Released(
        "diffusion_pytorch_model.safetensors of sd-vae-ft-ema", "sd1"
    ),
    # huggingface.co/stabilityai/sdxl-vae and huggingface.co/madebyollin/sdxl-vae-fp16-fix
    "63aeecb90ff7bc1c115395962d3e803571385b61938377bc7089b36e81e92e2e": Released("sdxl_vae.safetensors", "sdxl"),
    "235745af8d86bf4a4c1b5b4f529868b37019a10f7c0b2e79ad0abca3a22bc6e1": Released(
        "sdxl_vae.safetensors of sdxl-vae-fp16-fix", "sdxl"
    ),
    # huggingface.co/black-forest-labs/FLUX.1-schnell
    "afc8e28272cd15db3919bacdb6918ce9c1ed22e96cb12c4d5ed0fba823529e38": Released("ae.safetensors", "flux1"),
    # huggingface.co/Comfy-Org/flux2-dev
    "d64f3a68e1cc4f9f4e29b6e0da38a0204fe9a49f2d4053f0ec1fa1ca02f9c4b5": Released("flux2-vae.safetensors", "flux2"),
    # huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged and huggingface.co/Comfy-Org/Qwen-Image_ComfyUI
    "2fc39d31359a4b0a64f55876d8ff7fa8d780956ae2cb13463b0223e15148976b": Released("wan_2.1_vae.safetensors", "wan21"),
    "a70580f0213e67967ee9c95f05bb400e8fb08307e017a924bf3441223e023d1f": Released("qwen_image_vae.safetensors", "wan21"),
}
