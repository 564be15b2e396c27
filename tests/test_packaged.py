"""The packaged model: small enough to ship, the same inside diffusers, and drawing what it always drew."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from jaxtyping import Float
from torch import Tensor, nn

import fictile
from fictile.autoencoder import encoder_hash
from fictile.checkpoint import export_diffusers_unet
from fictile.checkpoint.folder import PACKAGED
from fictile.denoiser import EXACT, Added, Conditioning, Denoiser, Guidance, UNet, UNetSpec, guide
from fictile.denoiser.blocks import Shifts
from fictile.denoiser.transformer import Reading
from fictile.fidelity.metrics import psnr
from fictile.model import Model
from fictile.picture import load_picture
from fictile.sampling import SAMPLERS, StepNoise, initial_noise, make_steps

FOLDER = Path(fictile.__file__).parent / "builtin" / PACKAGED
GOLDEN = Path(__file__).parent / "golden" / "fox.png"  # "a fox", seed 0, 8 steps, float32: see its recipe
STEPS = 4
LEVEL = 2 / 255  # one of the 255 steps from black to full, where pixels run from -1 to 1


@pytest.fixture(scope="module")
def model() -> Model:
    return fictile.load(precision="float32")


def test_the_weights_take_at_most_40_megabytes() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 40e6


def test_the_space_is_named_after_its_encoder(model: Model) -> None:
    fingerprint = encoder_hash(model.autoencoder.network, model.autoencoder.normalisation)
    assert model.space.id == f"{model.autoencoder.name}-{fingerprint}"


def test_it_draws_the_golden_fox(model: Model) -> None:
    """Another machine may round otherwise: the golden picture was made on an AVX2 CPU."""
    (fox,) = model.generate("a fox", seed=0, steps=8)
    error = (fox.pixels - load_picture(GOLDEN).pixels).square().mean()
    assert 10 * torch.log10(4 / error) > 40  # decibels


@pytest.mark.parametrize(("speed", "least"), [("fast", 36), ("faster", 30), ("fastest", 28)])
def test_a_speed_stays_as_near_as_is_said_of_it(model: Model, speed: str, least: float) -> None:
    """docs/speed.md has the figures of several prompts."""
    exact, other = (model.generate("a house", seed=0, speed=name)[0].pixels for name in (EXACT, speed))
    assert least < psnr(other, exact) < float("inf")


@pytest.mark.parametrize("sampler", ["euler", "euler_ancestral", "dpmpp_2m_sde"])
def test_four_at_once_equal_four_alone(model: Model, sampler: str) -> None:
    together = model.generate("a fox", seed=3, steps=STEPS, sampler=sampler, count=4)
    for seed, picture in enumerate(together, start=3):
        (alone,) = model.generate("a fox", seed=seed, steps=STEPS, sampler=sampler)
        torch.testing.assert_close(picture.latent.data, alone.latent.data, rtol=0, atol=1e-4)
        assert (picture.pixels - alone.pixels).abs().max() <= LEVEL


class Twin(UNet):
    """diffusers' U-Net in the place of ours. What is made once for all steps is time and text as they stand."""

    def __init__(self, network: UNet2DConditionModel, spec: UNetSpec) -> None:
        nn.Module.__init__(self)
        self.network, self.spec, self.conv_in = network, spec, network.conv_in

    def shifts(self, time: Float[Tensor, " b"], added: Added | None = None) -> Shifts:
        return {self: time[:, None]}

    def read(self, context: Float[Tensor, "b n d"]) -> Reading:
        return {self: (context[:, None], context[:, None])}

    def forward(
        self,
        x: Float[Tensor, "b i h w"],
        time: Float[Tensor, " b"] | Shifts,
        context: Float[Tensor, "b n d"] | Reading,
        added: Added | None = None,
    ) -> Float[Tensor, "b o h w"]:
        assert not isinstance(time, Tensor)
        assert not isinstance(context, Tensor)
        return self.network(x, time[self][:, 0], context[self][0][:, 0]).sample


def test_diffusers_draws_the_same_picture_with_its_u_net(model: Model, tmp_path: Path) -> None:
    export_diffusers_unet(model.denoiser.network, tmp_path)
    theirs = UNet2DConditionModel.from_pretrained(tmp_path).eval()
    twin = replace(model.denoiser, network=Twin(theirs, model.denoiser.network.spec))

    def draw(denoiser: Denoiser) -> Float[Tensor, "1 c h w"]:
        texts = model.text.condition("a fox", "", size=model.defaults.size)
        wanted, unwanted = (Conditioning.of(text.context) for text in texts)
        shape = (model.space.channels, *(side // model.space.factor for side in model.defaults.size))
        steps = make_steps(denoiser.schedule, model.defaults.schedule, STEPS)
        with torch.no_grad():
            denoise = guide(denoiser, wanted, unwanted, Guidance(scale=model.defaults.guidance))
            x = initial_noise(shape, seed=0, count=1)
            return SAMPLERS[model.defaults.sampler](denoise, x, steps, noise=StepNoise(shape, [0]))

    ours, latent = draw(model.denoiser), draw(twin)
    torch.testing.assert_close(latent, ours, rtol=1e-4, atol=1e-4)
    pictures = [model.decode(fictile.Latent(data, model.space)).pixels for data in (ours, latent)]
    assert (pictures[0] - pictures[1]).abs().max() <= LEVEL
