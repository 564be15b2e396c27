"""What `train_vae` leaves behind, and the parts of its loss."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from torch import nn

from fictile.autoencoder import as_kl, encoder_hash
from fictile.checkpoint import export_diffusers_autoencoder, load_autoencoder, save_autoencoder
from fictile.errors import RequestError
from fictile.training import train_vae
from fictile.training.discriminator import MOST, PatchDiscriminator, balance, hinge_loss
from fictile.training.folder import open_folder
from fictile.training.vae import latent_statistics

from .tiny_runs import SIZE, vae_options, vae_trainee


def test_latents_of_the_training_set_are_standard(data: Path, vae: Path) -> None:
    autoencoder = load_autoencoder(vae)
    statistics: list[tuple[torch.Tensor, torch.Tensor]] = []
    for pictures in open_folder(data, SIZE):
        latents = autoencoder.encode(pictures.batch(range(len(pictures)))).mode().data
        statistics.append((latents.mean(dim=(0, 2, 3)), latents.var(dim=(0, 2, 3), correction=0)))
    for measured, written in zip(
        statistics, json.loads((vae.parent / "statistics.json").read_text()).values(), strict=True
    ):
        for found, expected in zip(measured, (written["mean"], written["variance"]), strict=True):
            assert found.tolist() == pytest.approx(expected, abs=1e-4)
    mean, variance = statistics[0]
    assert mean.abs().max() <= 0.02
    assert variance.min() >= 0.98
    assert variance.max() <= 1.02


def test_a_decoder_alone_is_trained_on_and_the_latents_stay(data: Path, vae: Path, tmp_path: Path) -> None:
    before = as_kl(load_autoencoder(vae))
    with torch.no_grad():
        before.network.encoder.conv_in.weight[0] = -0.0  # its sign is lost in an average
    save_autoencoder(before, tmp_path / "given.safetensors")
    other = replace(vae_options(data, tmp_path).spec, channels=8)  # means nothing here
    given = tmp_path / "given.safetensors"
    options = vae_options(data, tmp_path / "run", decoder_of=given, spec=other, steps=3, gan=0.1, gan_start=0.3)
    after = load_autoencoder(train_vae(options))
    assert encoder_hash(after.network, after.normalisation) == encoder_hash(before.network, before.normalisation)
    assert (after.space, after.name, after.normalisation) == (before.space, before.name, before.normalisation)
    pixels = open_folder(data, SIZE)[1].batch([0, 1])
    latent, again = (autoencoder.encode(pixels).mode() for autoencoder in (before, after))
    assert torch.equal(latent.data, again.data)
    assert not torch.allclose(before.decode(latent), after.decode(latent), atol=1e-3)
    moved = {
        name
        for name, one in before.network.state_dict().items()
        if not torch.equal(one, after.network.state_dict()[name])
    }
    assert moved == {name for name in before.network.state_dict() if name.startswith(("decoder.", "post_quant_conv."))}


def test_a_decoder_to_train_on_must_fit_the_pictures(data: Path, vae: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="size is 33; it must be a multiple of 2"):
        train_vae(vae_options(data, tmp_path / "run", decoder_of=vae, size=33))
    assert not (tmp_path / "run").exists()


def test_diffusers_opens_the_trained_autoencoder(data: Path, vae: Path, tmp_path: Path) -> None:
    autoencoder = load_autoencoder(vae)
    export_diffusers_autoencoder(autoencoder, tmp_path)
    theirs: Any = AutoencoderKL.from_pretrained(tmp_path)  # its return types are unions of tuples
    pixels = open_folder(data, SIZE)[1].batch([0, 1])
    ours = autoencoder.encode(pixels)
    with torch.no_grad():
        distribution = theirs.encode(pixels).latent_dist
        picture = theirs.decode(ours.mode().data).sample
    assert (distribution.mean - ours.mean).norm() <= 1e-4 * ours.mean.norm()
    assert (distribution.logvar - ours.logvar).norm() <= 1e-4 * ours.logvar.norm()
    levels = [((x.clamp(-1, 1) + 1) * 127.5).round() for x in (picture, autoencoder.decode(ours.mode()))]
    assert (levels[0] - levels[1]).abs().max() <= 1


def test_the_standing_of_the_latents_is_printed(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train_vae(vae_options(data, tmp_path, steps=1))
    figures = r"pictures, per channel: \|mean\| up to \d\.\d{4}, variance \d\.\d{4} to \d\.\d{4}\n"
    printed = capsys.readouterr().err
    assert all(re.search(f"Latents of the {part} {figures}", printed) for part in ("training", "held-out"))


def test_pictures_that_are_never_drawn_do_not_count(data: Path, tmp_path: Path) -> None:
    trainee = vae_trainee(vae_options(data, tmp_path))
    some = replace(trainee.train, entries=trainee.train.entries[:5])
    rest = [replace(entry, weight=0.0) for entry in trainee.train.entries[5:]]
    weighted = replace(some, entries=[*rest, *some.entries])
    expected = latent_statistics(trainee.network, some, range(5))
    torch.testing.assert_close(latent_statistics(trainee.network, weighted, weighted.drawn), expected)


def test_a_run_leaves_its_log_samples_and_options(data: Path, tmp_path: Path) -> None:
    train_vae(vae_options(data, tmp_path, steps=4, log_every=2, sample_every=3))
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"options.json", "log.jsonl", "samples", "checkpoint.pt", "vae.safetensors"}
    assert [path.name for path in sorted((tmp_path / "samples").iterdir())] == ["0000003.png", "0000004.png"]
    log = (tmp_path / "log.jsonl").read_text().splitlines()
    assert len(log) == 4
    assert "heldout_psnr" in log[1]
    assert not [name for name in names if name.startswith(".")]


def test_the_discriminator_starts_late(data: Path, tmp_path: Path) -> None:
    trainee = vae_trainee(vae_options(data, tmp_path, steps=10, gan=0.5, gan_start=0.4))
    assert trainee.discriminator is not None
    before = [parameter.clone() for parameter in trainee.discriminator.parameters()]
    metrics = [trainee.step(step) for step in (3, 4)]
    assert ["discriminator" in figures for figures in metrics] == [False, True]
    assert metrics[1]["balance"] > 0
    pairs = zip(before, trainee.discriminator.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in pairs)


def test_the_hinge_loss_only_pulls_scores_inside_the_margins() -> None:
    def loss(real: float, made: float) -> float:
        return hinge_loss(torch.full((1, 1, 2, 2), real), torch.full((1, 1, 2, 2), made)).item()

    assert loss(1.0, -1.0) == loss(5.0, -7.0) == 0
    assert loss(0.0, 0.0) == 1
    assert loss(-1.0, 2.0) == pytest.approx((2 + 3) / 2)


def test_the_balance_makes_both_gradients_equal() -> None:
    last = nn.Parameter(torch.tensor([1.0, 2.0]))
    reconstruction, adversarial = (6 * last).sum(), (last * torch.tensor([3.0, 4.0])).sum()
    weight = balance(reconstruction, adversarial, last)
    assert weight.item() == pytest.approx(6 * 2**0.5 / 5, rel=1e-3)
    assert not weight.requires_grad
    assert balance(1e9 * last.sum(), (0 * last).sum(), last) == MOST


def test_a_pictures_score_does_not_depend_on_its_neighbours() -> None:
    discriminator = PatchDiscriminator(8)
    pixels = torch.rand(2, 3, SIZE, SIZE)
    torch.testing.assert_close(discriminator(pixels)[:1], discriminator(pixels[:1]))


def test_the_perceptual_loss_is_0_for_the_same_picture_and_has_a_gradient() -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    from fictile.fidelity import Perceptual

    perceptual = Perceptual()
    target = 2 * torch.rand(1, 3, SIZE, SIZE) - 1
    made = (0.9 * target).requires_grad_()
    assert perceptual(target, target) == 0
    perceptual(made, target).backward()
    assert made.grad is not None
    assert made.grad.norm() > 0
    assert not any(parameter.requires_grad for parameter in perceptual.parameters())


def test_without_the_extra_the_perceptual_loss_is_one_sentence(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fictile.fidelity import Perceptual

    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(RequestError, match=r"pip install '\.\[perceptual\]'"):
        Perceptual()
    with pytest.raises(RequestError):
        train_vae(vae_options(data, tmp_path / "run", perceptual=0.1))
    assert not (tmp_path / "run").exists()
