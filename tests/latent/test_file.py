"""The `.latent.safetensors` file."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from fictile.errors import RequestError
from fictile.latent import Latent, LatentSpace
from fictile.latent.file import parse_header

SPACE = LatentSpace(id="emoji-12ab34cd", channels=2, factor=8)
METADATA: dict[str, Any] = {
    "kind": "latent",
    "version": 1,
    "space": {"id": "sd1", "channels": 2, "factor": 8},
    "size": [16, 24],
    "vae": None,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fox.latent.safetensors"


def latent(dtype: torch.dtype = torch.float32) -> Latent:
    data = torch.randn(2, 2, 4, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    return Latent(data.to(memory_format=torch.channels_last), SPACE, (32, 40), "abc")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_file_keeps_everything(path: Path, dtype: torch.dtype) -> None:
    latent(dtype).save(path)
    loaded = Latent.load(str(path))
    assert loaded.data.dtype == dtype
    assert torch.equal(loaded.data, latent(dtype).data)
    assert (loaded.space, loaded.size, loaded.vae) == (SPACE, (32, 40), "abc")


def test_what_is_unknown_stays_unknown(path: Path) -> None:
    Latent(latent().data, SPACE).save(path)
    loaded = Latent.load(path)
    assert loaded.size is None
    assert loaded.vae is None


def test_the_header_can_be_read_by_others(path: Path) -> None:
    latent().save(path)
    with safe_open(path, framework="pt") as file:
        assert list(file.keys()) == ["latent"]
        header = json.loads(file.metadata()["fictile"])
    assert header == {
        "kind": "latent",
        "version": 1,
        "space": {"id": "emoji-12ab34cd", "channels": 2, "factor": 8},
        "size": [32, 40],
        "vae": "abc",
    }


def test_saving_replaces_whole_files_and_leaves_nothing_else(path: Path) -> None:
    (latent() * 2.0).save(path)
    held = Latent.load(path)
    latent().save(path)
    assert torch.equal(held.data, latent().data * 2)
    assert torch.equal(Latent.load(path).data, latent().data)
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_save_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    latent().save(path)
    before = path.read_bytes()

    def interrupted(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:10])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        (latent() * 2.0).save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("place", ["missing/fox.latent.safetensors", "a-file/fox.latent.safetensors", "a-folder"])
def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "a-file").touch()
    (tmp_path / "a-folder").mkdir()
    with pytest.raises(RequestError, match="folder"):
        latent().save(tmp_path / place)
    assert {entry.name for entry in tmp_path.rglob("*")} == {"a-file", "a-folder"}


def test_a_missing_file_is_refused(path: Path) -> None:
    with pytest.raises(RequestError, match=f"{re.escape(str(path))}.*cannot be read"):
        Latent.load(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be read"):
        Latent.load(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(path: Path, share: float) -> None:
    latent().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(RequestError, match="no whole"):
        Latent.load(path)


def test_a_picture_is_refused(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(RequestError, match="no whole"):
        Latent.load(path)


def test_weights_of_another_program_are_refused(path: Path) -> None:
    save_file({"latent": torch.zeros(1, 4, 8, 8)}, path)
    with pytest.raises(RequestError, match="another program"):
        Latent.load(path)


def test_a_file_without_its_tensor_is_refused(path: Path) -> None:
    save_file({"weights": torch.zeros(1)}, path, {"fictile": json.dumps(METADATA)})
    with pytest.raises(RequestError, match="no whole"):
        Latent.load(path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kind": "autoencoder"}, "of the kind 'autoencoder'"),
        ({"version": 2}, "version 2.*update"),
        ({"space": None}, "damaged header"),
        ({"space": {"id": "sd1"}}, "damaged header"),
        ({"size": [1]}, "damaged header"),
        ({"size": "large"}, "damaged header"),
        ({"size": [0, 0]}, "damaged header"),
        ({"size": [8, -8]}, "damaged header"),
    ],
)
def test_a_wrong_header_is_refused(path: Path, change: dict[str, Any], sentence: str) -> None:
    save_file({"latent": torch.zeros(1, 2, 2, 3)}, path, {"fictile": json.dumps(METADATA | change)})
    with pytest.raises(RequestError, match=sentence):
        Latent.load(path)


@given(text=st.text() | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps))
def test_no_header_causes_anything_but_a_request_error(text: str) -> None:
    with pytest.raises(RequestError):
        parse_header("fox.latent.safetensors", {"fictile": text})
