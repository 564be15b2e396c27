"""What a file is, from its header alone: every family and variant in its released size, and what is none."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.checkpoint.headers import Shapes, clip_g, clip_h, clip_l, shapes, text, unet, vae, weights

from fictile.autoencoder import KLSpec
from fictile.checkpoint import Identity, identify
from fictile.checkpoint.identify import identified
from fictile.checkpoint.keys import old_kl, plain
from fictile.denoiser import REFINER, SD15, SD21, SDXL, SSD_1B, VEGA, UNetSpec
from fictile.text import CLIP_L, OPENCLIP_G, OPENCLIP_H, TextSpec

SGM_L, SGM_G = "conditioner.embedders.0.transformer.", "conditioner.embedders.0.model."
BIAS = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"


def bias(spread: float) -> dict[str, torch.Tensor]:
    """The one tensor that is read, with this spread."""
    values = torch.linspace(-1, 1, 320)
    return {BIAS: values / values.std() * spread}


def sd1(**changes: Any) -> Shapes:
    return {**unet(replace(SD15, **changes)), **vae(), **clip_l()}


def sd2(**changes: Any) -> Shapes:
    return {**unet(replace(SD21, **changes)), **vae(), **clip_h()}


def sdxl(spec: UNetSpec = SDXL) -> Shapes:
    return {**unet(spec), **vae(), **clip_l(SGM_L), **clip_g()}


def refiner() -> Shapes:
    return {**unet(REFINER), **vae(), **clip_g(SGM_G)}


FAMILIES: dict[str, tuple[Callable[[], Shapes], str, str, str, int]] = {
    "sd1": (sd1, "sd1", "base", "eps", 512),
    "sd1 inpainting": (lambda: sd1(in_channels=9), "sd1", "inpaint", "eps", 512),
    "instruct-pix2pix": (lambda: sd1(in_channels=8), "sd1", "instruct-pix2pix", "eps", 512),
    "sd2": (sd2, "sd2", "base", "eps", 512),
    "sd2 depth": (lambda: sd2(in_channels=5), "sd2", "depth", "eps", 512),
    "sd2 inpainting": (lambda: sd2(in_channels=9), "sd2", "inpaint", "eps", 512),
    "sdxl": (sdxl, "sdxl", "base", "eps", 1024),
    "refiner": (refiner, "sdxl-refiner", "base", "eps", 1024),
    "ssd-1b": (lambda: sdxl(SSD_1B), "ssd-1b", "base", "eps", 1024),
    "vega": (lambda: sdxl(VEGA), "vega", "base", "eps", 1024),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_and_variant(name: str) -> None:
    make, family, variant, prediction, resolution = FAMILIES[name]
    found, parts = identified(weights(make(), values=bias(0.04)))
    assert (found.kind, found.family, found.variant, found.prediction) == ("model", family, variant, prediction)
    assert found.resolution == resolution
    assert found.supported
    assert (found.missing, found.unexpected, found.problems, found.notes) == ((), (), (), ())
    assert found.precision.startswith("F16")
    published = {"sd1": SD15, "sd2": SD21, "sdxl": SDXL, "sdxl-refiner": REFINER, "ssd-1b": SSD_1B, "vega": VEGA}
    spec = parts["unet"].spec
    assert isinstance(spec, UNetSpec)
    assert spec == replace(published[family], in_channels=spec.in_channels)
    assert parts["vae"].spec == KLSpec()


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("sdxl", "a model of Stable Diffusion XL"),
        ("refiner", "the refiner of Stable Diffusion XL"),
        ("instruct-pix2pix", "a model of Stable Diffusion 1 that follows instructions (InstructPix2Pix)"),
    ],
)
def test_a_model_is_called_what_it_is(name: str, title: str) -> None:
    assert identified(weights(FAMILIES[name][0](), values=bias(0.04)))[0].title == title


def test_the_text_encoders_are_what_the_models_read() -> None:
    assert identified(weights(sd1()))[1]["text_encoder"].spec == CLIP_L
    large = identified(weights(sdxl()))[1]
    assert (large["text_encoder"].spec, large["text_encoder_2"].spec) == (CLIP_L, OPENCLIP_G)
    assert "text_encoder" not in identified(weights(refiner()))[1]
    second = identified(weights(sd2(), values=bias(0)))[1]["text_encoder"]
    assert second.spec == replace(OPENCLIP_H, layers=23)  # the last is not read, nor the projection
    assert second.problem() is None


def test_some_stable_diffusion_1_files_leave_out_text_model() -> None:
    tensors = {name.replace("transformer.text_model.", "transformer."): shape for name, shape in sd1().items()}
    found, parts = identified(weights(tensors))
    assert parts["text_encoder"].naming == "bare transformers"
    assert (found.missing, found.problems) == ((), ())


@pytest.mark.parametrize(
    ("extra", "metadata", "spread", "prediction", "reason"),
    [
        ({}, {}, 0.2, "v", "has a spread of 0.200, above 0.09"),
        ({}, {}, 0.04, "eps", "has a spread of 0.040, not above 0.09"),
        ({}, {"modelspec.prediction_type": "v"}, 0.04, "v", "modelspec.prediction_type 'v'"),
        ({}, {"modelspec.predict_key": "epsilon"}, 0.2, "eps", "modelspec.predict_key 'epsilon'"),
        ({}, {"modelspec.architecture": "stable-diffusion-v2-768-v"}, 0.04, "v", "stable-diffusion-v2-768-v"),
        ({}, {"modelspec.architecture": "stable-diffusion-v2-512"}, 0.2, "eps", "stable-diffusion-v2-512"),
        ({"v_pred": (0,)}, {"modelspec.prediction_type": "epsilon"}, 0.04, "v", "has the tensor v_pred"),
    ],
)
def test_what_a_stable_diffusion_2_predicts(
    extra: Shapes, metadata: dict[str, str], spread: float, prediction: str, reason: str
) -> None:
    found = identify(weights({**sd2(), **extra}, metadata, bias(spread)))
    assert found.prediction == prediction
    assert reason in found.prediction_reason
    assert found.resolution == (768 if prediction == "v" else 512)
    assert found.unexpected == ()


def test_what_an_xl_predicts() -> None:
    plain_, zero = identify(weights(sdxl())), identify(weights({**sdxl(), "v_pred": (), "ztsnr": ()}))
    assert (plain_.prediction, plain_.zero_terminal_snr) == ("eps", False)
    assert "Nothing in the file says otherwise" in plain_.prediction_reason
    assert (zero.prediction, zero.zero_terminal_snr) == ("v", True)


@pytest.mark.parametrize("mark", ["edm_mean", "edm_vpred.sigma_max"])
def test_edm_is_named_and_not_guessed(mark: str) -> None:
    found = identify(weights({**sdxl(), mark: (4,)}))
    assert (found.prediction, found.supported) == (None, False)
    assert f"has the tensor {mark}: noise as in EDM. That prediction is not supported yet." in found.notes[0]


def test_metadata_give_the_resolution() -> None:
    assert identify(weights(sd1(), {"modelspec.resolution": "640x448"})).resolution == 640


def test_an_unclip_is_named() -> None:
    tensors = {**sd2(), "model.diffusion_model.label_emb.0.0.weight": (1280, 2048)}
    found = identify(weights(tensors, values=bias(0)))
    assert (found.family, found.variant, found.supported) == ("sd2", "unclip", False)
    assert found.problems == ()
    assert "for an image embedding as well (unCLIP) is not supported yet; its autoencoder can be used" in found.notes[0]


def test_averaged_copies_are_counted_and_are_nothing_unexpected() -> None:
    copies = {
        "model_ema." + name.removeprefix("model.").replace(".", ""): shape
        for name, shape in sd1().items()
        if name.startswith("model.")
    }
    found = identify(weights({**sd1(), **copies, "model_ema.decay": (), "betas": (1000,), "alphas_cumprod": (1000,)}))
    assert found.ema == len(copies) + 1
    assert (found.unexpected, found.problems) == ((), ())


def test_what_is_missing_and_what_is_unexpected() -> None:
    found = identify(weights({**unet(SDXL), **clip_l(SGM_L), "odd.thing": (3,)}))
    assert (found.kind, found.bundled) == ("model", ("U-Net", "text encoder CLIP-L"))
    assert found.missing == ("autoencoder", "second text encoder")
    assert found.unexpected == ("odd.thing",)


def test_tensors_of_a_network_that_are_missing_or_unexpected_are_counted_and_five_are_named() -> None:
    tensors = sd1()
    for name in [name for name in tensors if "input_blocks.1.0." in name][:6]:
        del tensors[name]
    tensors["model.diffusion_model.surprise"] = (1,)
    (problem,) = identify(weights(tensors)).problems
    assert problem.startswith("The U-Net in model.safetensors lacks 6 of 686 tensors (input_blocks.1.0.")
    assert problem.count("input_blocks.1.0.") == 5
    assert "and 1 more) and has 1 unexpected ones (surprise); get an unchanged copy." in problem


@pytest.mark.parametrize("naming", ["ldm", "diffusers"])
def test_a_unet_without_its_first_blocks_lacks_tensors_and_is_still_one(naming: str) -> None:
    spec = replace(SD15, widths=(64, 128, 256, 256))
    tensors = unet(spec, "") if naming == "ldm" else shapes(spec, plain)
    first = ("input_blocks.1.",) if naming == "ldm" else ("down_blocks.0.resnets.0.", "down_blocks.0.attentions.0.")
    gone = [name for name in tensors if name.startswith(first)]
    found, parts = identified(weights({name: shape for name, shape in tensors.items() if name not in gone}))
    assert parts["unet"].spec == spec
    assert (found.kind, found.family) == ("denoiser", "sd1")
    assert f"lacks {len(gone)} of {len(tensors)} tensors ({min(gone)}, " in found.problems[0]


def test_a_tensor_of_another_shape_is_named() -> None:
    name = "model.diffusion_model.input_blocks.1.0.in_layers.2.weight"
    (problem,) = identify(weights({**sd1(), name: (320, 321, 3, 3)})).problems
    assert "input_blocks.1.0.in_layers.2.weight is (320, 321, 3, 3), but (320, 320, 3, 3) was expected" in problem


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: {**unet(SD15), **vae(), **clip_h()},
            "mixes families: its U-Net reads 768 features per token, but its text encoder makes 1024",
        ),
        (
            lambda: {**unet(SDXL), **vae(), **clip_l(SGM_L), **text(OPENCLIP_H, "conditioner.embedders.1.model.")},
            "mixes families: its U-Net reads 2048 features per token, but its text encoder makes 1792",
        ),
        (
            lambda: {**unet(SD15), **vae(KLSpec(channels=16, quant=False)), **clip_l()},
            "mixes families: its U-Net works on latents of 4 channels, but its autoencoder makes 16",
        ),
    ],
)
def test_mixed_families_are_refused(make: Callable[[], Shapes], sentence: str) -> None:
    assert [problem for problem in identify(weights(make())).problems if sentence in problem]


def test_a_unet_alone_an_autoencoder_alone_and_a_text_encoder_alone() -> None:
    alone = identify(weights(unet(SDXL, "")))
    assert (alone.kind, alone.title, alone.family) == ("denoiser", "the U-Net of Stable Diffusion XL", "sdxl")
    theirs = identify(weights(shapes(SD15, plain)))
    assert (theirs.kind, theirs.family) == ("denoiser", "sd1")
    for tensors in (vae(), vae(prefix=""), shapes(KLSpec(), plain), shapes(KLSpec(), old_kl)):
        found = identify(weights(tensors))
        assert (found.kind, found.family, found.problems) == ("autoencoder", None, ())
    (part,) = identified(weights(vae(KLSpec(channels=16, quant=False), "")))[1].values()
    assert part.spec == KLSpec(channels=16, quant=False)
    found, parts = identified(weights(shapes(CLIP_L, plain)))
    assert (found.kind, found.title) == ("text encoder", "a text encoder CLIP-L")
    assert parts["text_encoder"].spec == CLIP_L


OTHER_FAMILIES = {
    "joint_blocks.0.context_block.attn.qkv.weight": "sd3",
    "double_blocks.0.img_attn.norm.key_norm.scale": "flux1",
    "double_stream_modulation_img.lin.weight": "flux2",
    "distilled_guidance_layer.layers.0.in_layer.weight": "chroma",
    "head.modulation": "wan",
    "txt_norm.weight": "qwen-image",
    "blocks.0.cross_attn.q_linear.weight": "sana",
    "t_block.1.weight": "pixart",
    "double_layers.0.attn.w1q.weight": "auraflow",
    "txt_in.individual_token_refiner.blocks.0.norm1.weight": "hunyuan-video",
    "mlp_t5.0.weight": "hunyuan-dit",
    "adaln_single.emb.timestep_embedder.linear_1.bias": "ltx",
    "clf.1.weight": "cascade",
}


@pytest.mark.parametrize("prefix", ["model.diffusion_model.", ""])
@pytest.mark.parametrize("mark", OTHER_FAMILIES)
def test_denoisers_of_other_families_are_named(mark: str, prefix: str) -> None:
    found = identify(weights({prefix + mark: (64,), f"{prefix}other.weight": (4, 4)}))
    assert (found.kind, found.family, found.supported) == ("model", OTHER_FAMILIES[mark], False)
    assert any("is not supported yet" in note for note in found.notes)
    assert found.problems == ()


@pytest.mark.parametrize(("rows", "family"), [(2304, "lumina2"), (3840, "z-image")])
def test_lumina_and_z_image_differ_in_width(rows: int, family: str) -> None:
    assert identify(weights({"cap_embedder.1.weight": (rows, 2560)})).family == family


def test_the_autoencoder_of_another_family_can_be_used() -> None:
    mark = "model.diffusion_model.joint_blocks.0.context_block.attn.qkv.weight"
    found, parts = identified(weights({mark: (64, 64), **vae(KLSpec(channels=16, quant=False))}))
    assert found.title == "a model of Stable Diffusion 3"
    assert found.notes == ("A denoiser of Stable Diffusion 3 is not supported yet; its autoencoder can be used.",)
    assert list(parts) == ["vae"]


OTHER_KINDS: dict[str, tuple[Shapes, str, str]] = {
    "kohya": (
        {
            "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": (16, 768),
            "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.alpha": (),
        },
        "lora",
        "a LoRA for Stable Diffusion 1",
    ),
    "peft": (
        {"unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight": (16, 2048)},
        "lora",
        "a LoRA for Stable Diffusion XL",
    ),
    "loha": ({"lora_te_text_model_encoder_layers_0_mlp_fc1.hada_w1_a": (8, 8)}, "lora", "a LoRA"),
    "controlnet": (
        {
            "control_model.zero_convs.0.0.weight": (320, 320, 1, 1),
            "control_model.input_hint_block.0.weight": (16, 3, 3, 3),
        },
        "controlnet",
        "a ControlNet",
    ),
    "controlnet of diffusers": (
        {
            "controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3),
            "controlnet_down_blocks.0.weight": (320, 320, 1, 1),
            "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight": (320, 1024),
        },
        "controlnet",
        "a ControlNet for Stable Diffusion 2",
    ),
    "embedding": ({"emb_params": (4, 768)}, "embedding", "an embedding (textual inversion)"),
    "embedding for xl": ({"clip_l": (4, 768), "clip_g": (4, 1280)}, "embedding", "an embedding (textual inversion)"),
    "embedding of diffusers": ({"<cat>": (768,)}, "embedding", "an embedding (textual inversion)"),
    "taesd": (
        {f"{index}.conv.{inner}.weight": (64, 64, 3, 3) for index in (3, 4) for inner in (0, 2)},
        "tiny autoencoder",
        "a tiny autoencoder",
    ),
    "esrgan": (
        {"body.0.rdb1.conv1.weight": (32, 64, 3, 3), "body.0.rdb2.conv1.weight": (32, 64, 3, 3)},
        "upscaler",
        "an upscaler",
    ),
    "ip-adapter": (
        {"image_proj.proj.weight": (3072, 1024), "ip_adapter.1.to_k_ip.weight": (320, 768)},
        "adapter",
        "an adapter",
    ),
    "t5": ({"encoder.block.0.layer.0.SelfAttention.q.weight": (4096, 4096)}, "text encoder", "a T5 text encoder"),
    "unknown": (
        {"conv1.weight": (64, 3, 7, 7)},
        "unknown",
        "a file with 1 tensors of a kind that Fictile does not know",
    ),
}


@pytest.mark.parametrize("name", OTHER_KINDS)
def test_what_is_no_model_is_named(name: str) -> None:
    tensors, kind, title = OTHER_KINDS[name]
    found = identify(weights(tensors))
    assert (found.kind, found.title, found.supported) == (kind, title, False)
    (sentence,) = found.problems
    assert sentence.startswith("model.safetensors ")
    assert "; give a checkpoint" in sentence or "; give the checkpoint" in sentence


def test_sizes_that_nobody_published_are_said_to_be_so() -> None:
    spec = replace(SD15, widths=(64, 128, 256, 256))
    found = identify(weights({**unet(spec), **vae(), **clip_l()}))
    assert found.family == "sd1"
    assert found.notes == (
        "The U-Net has sizes of its own and is built like that of Stable Diffusion 1; "
        "the number of its attention heads is a guess.",
    )


def test_an_identity_is_plain_data() -> None:
    found = identify(weights(sd1()))
    assert isinstance(hash(found), int)
    assert found == replace(found)
    assert isinstance(found, Identity)
    assert TextSpec() == CLIP_L
