"""ComfyUI's `.latent` files. What its SaveLatent writes is built here by hand, tensor by tensor."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from fictile.autoencoder import KNOWN, read_comfy_latent, write_comfy_latent, write_latent
from fictile.autoencoder.comfy import UNITS
from fictile.errors import RequestError
from fictile.latent import SPACES, Latent

DICE = torch.Generator().manual_seed(0)
RAW = torch.randn(1, 4, 6, 5, generator=DICE)


def saved(path: Path, raw: torch.Tensor, *, marked: bool = True) -> Path:
    """As SaveLatent does."""
    tensors = {"latent_tensor": raw.contiguous()} | ({"latent_format_version_0": torch.tensor([])} if marked else {})
    save_file(tensors, path, {"prompt": '{"3": {"class_type": "KSampler"}}', "workflow": "{}"})
    return path


def test_marked_files_hold_what_an_autoencoder_gave(tmp_path: Path) -> None:
    latent = read_comfy_latent(saved(tmp_path / "a.latent", RAW), "sd1")
    assert latent.space == SPACES["sd1"]
    torch.testing.assert_close(latent.data, RAW * 0.18215)
    latent = read_comfy_latent(saved(tmp_path / "a.latent", RAW), "sdxl")
    torch.testing.assert_close(latent.data, RAW * 0.13025)


def test_unmarked_files_hold_it_times_the_scale_of_sd1(tmp_path: Path) -> None:
    path = saved(tmp_path / "old.latent", RAW * 0.18215, marked=False)
    torch.testing.assert_close(read_comfy_latent(path, "sd1").data, RAW * 0.18215)
    torch.testing.assert_close(read_comfy_latent(path, "sdxl").data, RAW * 0.13025)


def test_those_of_flux2_are_in_model_units_already(tmp_path: Path) -> None:
    """Its autoencoder normalises in ComfyUI; nothing else there has 128 channels, so that it need not be told."""
    data = torch.randn(1, 128, 3, 2, generator=DICE)
    latent = read_comfy_latent(saved(tmp_path / "a.latent", data))
    assert latent.space == SPACES["flux2"]
    assert torch.equal(latent.data, data)


def test_a_time_axis_of_one_frame_is_taken_off_and_a_video_refused(tmp_path: Path) -> None:
    raw = torch.randn(1, 16, 2, 3, 4, generator=DICE)
    still = read_comfy_latent(saved(tmp_path / "a.latent", raw[:, :, :1]), "wan21")
    mean_0, std_0 = -0.7571, 2.8184
    torch.testing.assert_close(still.data[:, 0], (raw[:, 0, 0] - mean_0) / std_0)
    with pytest.raises(RequestError, match="not latents of pictures"):
        read_comfy_latent(saved(tmp_path / "b.latent", raw), "wan21")


@pytest.mark.parametrize("space", UNITS)
def test_what_is_written_is_read_again(tmp_path: Path, space: str) -> None:
    """In the units of the space's own autoencoder, with the marker."""
    latent = Latent(torch.randn(2, SPACES[space].channels, 4, 3, generator=DICE), SPACES[space])
    path = tmp_path / "a.latent"
    write_latent(latent, path)
    tensors = load_file(path)
    assert tensors.keys() == {"latent_tensor", "latent_format_version_0"}
    assert tensors["latent_format_version_0"].numel() == 0
    known = KNOWN[space].normalisation
    torch.testing.assert_close(tensors["latent_tensor"], known.undo(latent.data) if known else latent.data)
    torch.testing.assert_close(read_comfy_latent(path, space).data, latent.data)


def test_the_space_is_never_guessed(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.latent", RAW)
    with pytest.raises(RequestError, match=r"4 channels and does not say its space.*sd1, sdxl, playground-2.5"):
        read_comfy_latent(path)
    with pytest.raises(RequestError, match="4 channels, and flux1 does not"):
        read_comfy_latent(path, "flux1")
    with pytest.raises(RequestError, match="none has as many"):
        read_comfy_latent(saved(path, torch.zeros(1, 5, 2, 2)))


def test_what_is_no_latent_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.latent"
    with pytest.raises(RequestError, match="cannot be read"):
        read_comfy_latent(path, "sd1")
    path.write_bytes(b"\x89PNG" + bytes(100))
    with pytest.raises(RequestError, match="no whole"):
        read_comfy_latent(path, "sd1")
    save_file({"weight": RAW}, path)
    with pytest.raises(RequestError, match="no tensor latent_tensor"):
        read_comfy_latent(path, "sd1")
    with pytest.raises(RequestError, match="not latents"):
        read_comfy_latent(saved(path, torch.zeros(0, 4, 2, 2)), "sd1")


def test_a_space_that_comfyui_lacks_is_not_written(tmp_path: Path) -> None:
    latent = Latent(torch.zeros(1, 32, 1, 1), SPACES["sana"])
    with pytest.raises(RequestError, match="which ComfyUI's"):
        write_comfy_latent(latent, tmp_path / "a.latent")
    assert not list(tmp_path.iterdir())


@given(content=st.binary(max_size=64))
def test_no_bytes_cause_anything_but_a_request_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "random.latent"
    path.write_bytes(content)
    with pytest.raises(RequestError):
        read_comfy_latent(path, "sd1")
