"""With the cable pulled."""

import socket
from pathlib import Path
from typing import NoReturn

import pytest
from tests.cli.command_line import Run


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - pytest calls it
    """Any use of the network fails the test, and is not taken for an ordinary failure to connect."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the network was used")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)


def test_generate_replay_encode_and_decode_work_without_a_network(run: Run, tiny: Path, photo: Path) -> None:
    assert run("generate", "a fox", "-m", tiny, "-o", "fox.png").code == 0
    assert run("replay", "fox.png", "-m", tiny, "-o", "again.png").code == 0
    assert run("encode", photo, "-m", tiny, "-o", "photo.latent.safetensors").code == 0
    assert run("decode", "photo.latent.safetensors", "-m", tiny, "-o", "back.png").code == 0
    assert all(Path(name).is_file() for name in ("fox.png", "again.png", "photo.latent.safetensors", "back.png"))
