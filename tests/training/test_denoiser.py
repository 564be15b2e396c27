"""What `train_denoiser` leaves behind, and the parts of its loss."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from fictile.autoencoder import Posterior
from fictile.checkpoint import load_model
from fictile.denoiser import UNetSpec
from fictile.errors import RequestError, SpaceMismatch
from fictile.loading import load
from fictile.schedule import DDPM, Flow
from fictile.training import train_denoiser, train_vae
from fictile.training.denoiser import draw_captions, loss_weights, prompts_of, random_times
from fictile.training.folder import Entry, Pictures
from fictile.training.latents import LatentCache

from .tiny_runs import SIZE, denoiser_options, denoiser_trainee, vae_options


def test_it_learns_four_latents(data: Path, vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is the same all over: once the four are known, what is noise can be told exactly."""
    trainee = denoiser_trainee(
        denoiser_options(data, tmp_path, vae, size=16, steps=100, batch=16, learning_rate=3e-3, warmup=10)
    )
    four = torch.tensor([[1.5, -1, 0, 1], [-1.5, 1, 1, 0], [0, 1.5, -1, -1], [0, -1.5, 0, 0]])

    def posterior(cache: LatentCache, indices: Sequence[int], mirrored: None) -> Posterior:
        mean = four[torch.tensor(indices) % 4][:, :, None, None].expand(-1, -1, 8, 8)
        return Posterior(mean=mean, logvar=torch.full_like(mean, -30), space=cache.autoencoder.space)

    monkeypatch.setattr(LatentCache, "posterior", posterior)
    losses = torch.tensor([trainee.step(step)["loss"] for step in range(100)])
    assert losses[-20:].mean() < 0.4 * losses[:5].mean()


def test_the_exported_model_makes_pictures(data: Path, vae: Path, tmp_path: Path) -> None:
    folder = train_denoiser(denoiser_options(data, tmp_path, vae, steps=1, shift=2.0, guidance=3.0))
    parts = load_model(folder)
    assert parts.denoiser.schedule == Flow(shift=2.0)
    assert (parts.defaults.size, parts.defaults.guidance) == ((SIZE, SIZE), 3.0)
    (picture,) = load(folder).generate("a fox", seed=1)
    assert picture.pixels.shape[-2:] == (SIZE, SIZE)


def test_a_model_is_trained_on_from_where_it_stands(data: Path, vae: Path, tmp_path: Path) -> None:
    model = train_denoiser(denoiser_options(data, tmp_path / "first", vae, steps=2))
    wider = UNetSpec(widths=(32, 64), layers=1, depth=(0, 1), heads=(1, 2), groups=8)
    trainee = denoiser_trainee(denoiser_options(data, tmp_path / "second", vae, init=model, spec=wider))
    parts = load_model(model)
    assert trainee.unet.spec == parts.denoiser.network.spec
    for ours, before in ((trainee.unet, parts.denoiser.network), (trainee.text, parts.text_encoder.network)):
        for name, weight in before.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], weight, rtol=0, atol=0)
    before = trainee.unet.conv_in.weight.clone()
    trainee.step(0)
    assert not torch.equal(trainee.unet.conv_in.weight, before)
    assert trainee.tokenizer.encode(["a fox"]).equal(parts.text_encoder.tokenizer.encode(["a fox"]))


def test_a_model_of_another_kind_is_not_trained_on_from(data: Path, vae: Path, tmp_path: Path) -> None:
    model = train_denoiser(denoiser_options(data, tmp_path / "first", vae, steps=1))
    with pytest.raises(RequestError, match="predicts 'flow', but the objective is 'v'"):
        train_denoiser(denoiser_options(data, tmp_path / "second", vae, init=model, objective="v"))
    other = train_vae(vae_options(data, tmp_path / "vae", steps=1, seed=7))
    with pytest.raises(SpaceMismatch, match="own VAE"):
        train_denoiser(denoiser_options(data, tmp_path / "second", other, init=model))
    assert not (tmp_path / "second").exists()


def test_a_size_that_does_not_fit_is_refused_before_anything_is_written(data: Path, vae: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="size is 30; for this VAE and U-Net it must be a multiple of 4"):
        train_denoiser(denoiser_options(data, tmp_path / "run", vae, size=30))
    assert not (tmp_path / "run").exists()


def test_what_is_refused_leaves_nothing_behind(data: Path, vae: Path, tmp_path: Path) -> None:
    options = denoiser_options(data, tmp_path / "run", vae)
    for wrong, message in (
        (replace(options, prompts=tmp_path / "missing.txt"), "cannot be read"),
        (replace(options, text=replace(options.text, vocabulary=100)), "vocabulary of 100 cannot hold every byte"),
        (replace(options, text=replace(options.text, context=2)), "context of 2 holds no token"),
    ):
        with pytest.raises(RequestError, match=message):
            train_denoiser(wrong)
    assert not options.output.exists()


@pytest.mark.slow
def test_compiled_steps_learn_the_same(data: Path, vae: Path, tmp_path: Path) -> None:
    """In processes of their own: the checks of shapes that tests put around every function cannot be compiled."""
    try:
        denoiser_options(data, tmp_path, vae, compile=True).runtime()
    except RequestError as error:
        pytest.skip(str(error))
    network = ["--size", "32", "--widths", "16", "--depth", "1", "--heads", "1", "--groups", "8", "--layers", "1"]
    pace = ["--steps", "20", "--batch", "2", "--device", "cpu", "--precision", "float32"]
    losses = list[float]()
    for more in ([], ["--compile"]):
        run = tmp_path / f"run{''.join(more)}"
        command = [sys.executable, "-c", "from fictile.cli import main; main()", "train", "denoiser", str(data)]
        command += ["--vae", str(vae), "--output", str(run)]
        done = subprocess.run(
            [*command, *network, *pace, *more],
            env=os.environ | {"OMP_NUM_THREADS": "1", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        losses.append(json.loads((run / "log.jsonl").read_text("utf-8").splitlines()[0])["loss"])
        load_model(run / "model")
    assert (tmp_path / "inductor").exists()  # it was compiled
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_steps_are_not_compiled_where_that_cannot_be_done(
    data: Path, vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "/nowhere/c++")
    with pytest.raises(RequestError, match=r"needs a C\+\+ compiler, and /nowhere/c\+\+ is not there"):
        train_denoiser(denoiser_options(data, tmp_path / "run", vae, compile=True))
    assert not (tmp_path / "run").exists()


def test_pictures_that_nobody_describes_are_noticed(
    data: Path, vae: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train_denoiser(denoiser_options(data, tmp_path / "told", vae, steps=1))
    assert not caplog.messages
    for part in ("train", "heldout"):
        (data / part / "metadata.jsonl").unlink()
    train_denoiser(denoiser_options(data, tmp_path / "untold", vae, steps=1))
    assert any("No picture in" in message for message in caplog.messages)


def test_the_folder_of_a_run_says_where_its_model_is(data: Path, vae: Path, tmp_path: Path) -> None:
    train_denoiser(denoiser_options(data, tmp_path, vae, steps=1))
    with pytest.raises(RequestError, match=f"folder of a training run; give the model in it, {tmp_path / 'model'}"):
        load(tmp_path)


def test_the_options_file_has_the_networks_as_they_were_made(data: Path, vae: Path, tmp_path: Path) -> None:
    trainee = denoiser_trainee(denoiser_options(data, tmp_path / "trainee", vae))
    train_denoiser(denoiser_options(data, tmp_path / "run", vae, steps=1))
    written = json.loads((tmp_path / "run" / "options.json").read_text())
    assert written["spec"] == json.loads(json.dumps(asdict(trainee.unet.spec)))
    assert written["text"] == asdict(trainee.text.spec)


@pytest.mark.parametrize("gamma", [1.0, 5.0])
def test_min_snr_weights(gamma: float) -> None:
    alpha, sigma = DDPM().at(torch.arange(0, 1000, 37).float())
    for weight, a, s in zip(loss_weights("eps", alpha, sigma, gamma), alpha.tolist(), sigma.tolist(), strict=True):
        assert weight.item() == pytest.approx(min(gamma * s**2 / a**2, 1), rel=1e-4)
    for weight, a, s in zip(loss_weights("v", alpha, sigma, gamma), alpha.tolist(), sigma.tolist(), strict=True):
        assert weight.item() == pytest.approx(min(gamma * s**2, a**2 + s**2), rel=1e-4)  # which is at most 1
    assert loss_weights("flow", alpha, sigma, gamma).eq(1).all()


def test_v_is_learnt_where_no_signal_is_left() -> None:
    alpha, sigma = DDPM(zero_terminal_snr=True).at(torch.tensor([999.0]))
    assert alpha.item() == 0
    assert loss_weights("v", alpha, sigma, 5.0).item() == 1


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_times_of_a_flow_are_logit_normal_around_the_shift(shift: float) -> None:
    """sigmoid(z), shifted, is sigmoid(z + log shift)."""
    t = random_times(Flow(shift=shift), 20_000, torch.Generator().manual_seed(0)) / 1000
    assert t.min() > 0
    assert t.max() < 1
    logit = t.double().logit()
    assert logit.mean().item() == pytest.approx(math.log(shift), abs=0.03)
    assert logit.std().item() == pytest.approx(1, abs=0.03)


def test_a_part_of_the_times_of_a_flow_is_even_and_reaches_pure_noise() -> None:
    """A logit-normal puts one in 110 of its times above 0.97 at shift 3; an even draw, shifted, one in 12."""
    shares = [
        (random_times(Flow(shift=3.0), 40_000, torch.Generator().manual_seed(0), uniform=part) > 970)
        .float()
        .mean()
        .item()
        for part in (0.0, 0.5, 1.0)
    ]
    even = 1 - 0.97 / (3 - 2 * 0.97)  # 3u / (1 + 2u) is 0.97 at u = 0.97 / (3 - 2 * 0.97)
    assert shares[2] == pytest.approx(even, abs=0.005)
    assert shares[1] == pytest.approx((shares[0] + even) / 2, abs=0.005)
    assert even > 8 * shares[0]


def test_other_times_are_uniform() -> None:
    times = random_times(DDPM(), 20_000, torch.Generator().manual_seed(0))
    assert times.equal(times.round())
    assert (times.min(), times.max()) == (0, 999)
    assert times.mean().item() == pytest.approx(499.5, abs=6)
    assert times.std().item() == pytest.approx(1000 / 12**0.5, abs=4)


def test_captions_are_dropped_and_shared_out() -> None:
    entries = [Entry(Path("a"), ("a fox", "a vixen"))] * 8000
    drawn = draw_captions(entries, 0.2, torch.Generator().manual_seed(0))
    shares = [drawn.count(caption) / len(drawn) for caption in ("", "a fox", "a vixen")]
    assert shares == pytest.approx([0.2, 0.4, 0.4], abs=0.02)
    assert "" not in draw_captions(entries, 0.0, torch.Generator().manual_seed(0))


def test_prompts_come_from_a_file_or_from_captions(tmp_path: Path) -> None:
    pictures = Pictures([Entry(Path("a"), (f"caption {index}",)) for index in range(40)], SIZE)
    spread = prompts_of(denoiser_options(tmp_path, tmp_path, tmp_path), pictures)
    assert spread[:3] == ["caption 0", "caption 2", "caption 4"]
    assert len(spread) == 16
    file = tmp_path / "prompts.txt"
    options = denoiser_options(tmp_path, tmp_path, tmp_path, prompts=file)
    with pytest.raises(RequestError, match="cannot be read"):
        prompts_of(options, pictures)
    file.write_text("\n  \n")
    with pytest.raises(RequestError, match="are empty; write one prompt a line"):
        prompts_of(options, pictures)
    file.write_text("a fox\n\n a leaf \n")
    assert prompts_of(options, pictures) == ["a fox", "a leaf"]
