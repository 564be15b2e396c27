"""Names on the hub, against a cache laid out as huggingface_hub does; sockets end the test."""

import json
import socket
from pathlib import Path
from typing import NoReturn
from unittest.mock import MagicMock

import pytest
from huggingface_hub import constants, errors

from fictile.checkpoint.hub import resolve, wanted
from fictile.errors import FictileError, RequestError

COMMIT = "0" * 39 + "1"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - pytest calls it
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the network was used")

    for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, which HF_HUB_CACHE names, read at import; the library is offline."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def cached(hub: Path, repository: str, **files: str) -> Path:
    """The folder of a snapshot, with links to its blobs as the library makes them."""
    root = hub / f"models--{repository.replace('/', '--')}"
    snapshot = root / "snapshots" / COMMIT
    for folder in (root / "refs", root / "blobs", snapshot):
        folder.mkdir(parents=True, exist_ok=True)
    (root / "refs" / "main").write_text(COMMIT)
    for number, (name, content) in enumerate(files.items()):
        blob = root / "blobs" / f"{number:064x}"
        blob.write_text(content)
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(blob)
    return snapshot


PIPELINE = {
    "model_index.json": json.dumps(
        {
            "_class_name": "StableDiffusionPipeline",
            "unet": ["diffusers", "UNet2DConditionModel"],
            "scheduler": ["diffusers", "DDIMScheduler"],
            "safety_checker": [None, None],
        }
    ),
    "unet/config.json": "{}",
    "unet/diffusion_pytorch_model.fp16.safetensors": "weights",
    "scheduler/scheduler_config.json": "{}",
}


def test_a_name_of_a_file_or_folder_is_its_own_path() -> None:
    assert resolve("models/fox.safetensors") == Path("models/fox.safetensors")
    assert resolve(Path("hub")) == Path("hub")


def test_a_file_in_the_cache_is_taken_from_it(hub: Path) -> None:
    snapshot = cached(hub, "someone/model", **{"v1.safetensors": "weights", "folder/v2.safetensors": "others"})
    assert resolve("hub:someone/model/v1.safetensors") == snapshot / "v1.safetensors"
    assert resolve("hub:someone/model/folder/v2.safetensors").read_text() == "others"


def test_a_whole_pipeline_in_the_cache_is_taken_from_it(hub: Path) -> None:
    snapshot = cached(hub, "someone/model", **PIPELINE)
    assert resolve("hub:someone/model") == snapshot


def test_the_one_file_in_the_cache_is_the_model_and_nobody_is_asked(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the network is allowed: only the cache was looked at, or the sockets would have ended the test."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    snapshot = cached(hub, "someone/model", **{"v1.safetensors": "weights", "README.md": "words"})
    assert resolve("hub:someone/model") == snapshot / "v1.safetensors"


@pytest.mark.parametrize("more", ["v2.ckpt", "unet/config.json", "model_index.json"])
def test_one_file_among_others_in_the_cache_is_not_taken_for_the_model(hub: Path, more: str) -> None:
    cached(hub, "someone/model", **{"v1.safetensors": "weights", more: PIPELINE.get(more, "others")})
    with pytest.raises(RequestError, match="is not in the cache"):
        resolve("hub:someone/model")


@pytest.mark.parametrize(
    "lost", ["unet/diffusion_pytorch_model.fp16.safetensors", "scheduler/scheduler_config.json", "model_index.json"]
)
def test_a_part_of_a_pipeline_is_not_taken_for_the_whole(hub: Path, lost: str) -> None:
    cached(hub, "someone/model", **{name: content for name, content in PIPELINE.items() if name != lost})
    with pytest.raises(RequestError, match=r"hub:someone/model is not in the cache, and HF_HUB_OFFLINE is set"):
        resolve("hub:someone/model")


def test_a_pipeline_that_lacks_a_shard_is_not_whole(hub: Path) -> None:
    shards = {name: text for name, text in PIPELINE.items() if not name.endswith(".safetensors")}
    shards["unet/diffusion_pytorch_model-00001-of-00002.safetensors"] = "the first"
    cached(hub, "someone/model", **shards)
    with pytest.raises(RequestError, match="is not in the cache"):
        resolve("hub:someone/model")


def test_what_is_not_in_the_cache_is_a_mistake_when_the_network_was_forbidden(hub: Path) -> None:
    with pytest.raises(RequestError, match=r"hub:no/where/a.safetensors is not in the cache.*download it first"):
        resolve("hub:no/where/a.safetensors")


def test_a_hub_that_cannot_be_reached_is_no_mistake_of_the_user(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client under the library raises errors of its own, which are no OSError."""

    class Unreachable(errors.HfHubHTTPError.__mro__[1]):  # pyright: ignore[reportUntypedBaseClass]
        pass

    def broken(*_: object, **__: object) -> NoReturn:
        raise Unreachable("no route to host")

    assert not issubclass(Unreachable, OSError)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", broken)
    with pytest.raises(FictileError, match=r"hub:no/where could not be downloaded \(no route to host\)"):
        resolve("hub:no/where")


def test_what_the_hub_does_not_have_is_a_mistake(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> NoReturn:
        raise errors.RepositoryNotFoundError("401", response=MagicMock())

    monkeypatch.setattr("huggingface_hub.hf_hub_download", absent)
    with pytest.raises(RequestError, match=r"hub:no/where/a.safetensors is not on the hub, or not open to you"):
        resolve("hub:no/where/a.safetensors")


def test_a_network_that_fails_is_no_mistake_of_the_user(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> NoReturn:
        raise OSError("no route to host\nand many more words")

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", broken)
    with pytest.raises(FictileError, match=r"could not be downloaded \(no route to host\); check the connection"):
        resolve("hub:no/where/a.safetensors")


@pytest.mark.parametrize("name", ["hub:", "hub:fox", "hub:fox/", "hub:/fox", "hub:a/b/../c", "hub:a/.."])
def test_names_of_another_form_are_refused(name: str) -> None:
    with pytest.raises(RequestError, match=r"names nothing on the hub; write hub:owner/name or hub:owner/name/file"):
        resolve(name)


@pytest.mark.parametrize("name", ["hub:some one/fox", "hub:someone/fo*x", "hub:-a/b--c"])
def test_names_with_characters_that_no_model_has_are_refused(hub: Path, name: str) -> None:
    with pytest.raises(RequestError, match="names nothing on the hub"):
        resolve(name)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(RequestError, match=r"pip install 'fictile\[hub\]'"):
        resolve("hub:someone/model")


def test_of_a_folder_only_what_is_read_is_downloaded() -> None:
    files = [
        "model_index.json",
        "README.md",
        "v1.safetensors",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.bin",
        "vae/diffusion_pytorch_model.fp16.safetensors",
        "text_encoder/model-00001-of-00002.safetensors",
        "text_encoder/model-00002-of-00002.safetensors",
        "tokenizer/merges.txt",
    ]
    unwanted = {
        "README.md",
        "v1.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.bin",
    }
    assert sorted(wanted(files)) == sorted(set(files) - unwanted)
