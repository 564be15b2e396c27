"""With the cable pulled."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from tests.cli.command_line import Run

import fictile
from fictile.checkpoint.folder import PACKAGED

MODEL = Path(fictile.__file__).parent / "builtin" / PACKAGED / "model.json"

# Before anything of Fictile is imported, sockets end the process; then the commands run one after the other.
WITHOUT_SOCKETS = """
import json, os, socket, sys

def refuse(*_, **__):
    print("the network was used", file=sys.stderr, flush=True)
    os._exit(99)

class Refused(socket.socket):
    __init__ = refuse

socket.socket = Refused
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refuse

from fictile.cli import main

for command in json.loads(sys.argv[1]):
    try:
        main(command)
    except SystemExit as left:
        if left.code:
            raise
"""


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


@pytest.mark.skipif(not MODEL.exists(), reason="the packaged model has not been trained yet")
def test_a_fresh_process_needs_no_network_and_no_model_but_the_packaged_one(here: Path, photo: Path) -> None:
    commands = [
        ["generate", "a fox", "--steps", "1", "-o", "fox.png"],
        ["replay", "fox.png", "-o", "again.png"],
        ["encode", str(photo), "-o", "photo.latent.safetensors"],
        ["decode", "photo.latent.safetensors", "-o", "back.png"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SOCKETS, json.dumps(commands)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all((here / command[-1]).is_file() for command in commands)
