"""What compilers keep on the disk: known by what it depends on, and not without end."""

import importlib
import os
from pathlib import Path

import pytest
import torch

from fictile.engine import Job
from fictile.engine.kept import key, make_room


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    for age, name in enumerate(["newest", "used", "forgotten"]):
        (tmp_path / name).mkdir()
        (tmp_path / name / "network.pt2").write_bytes(bytes(10))
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    make_room(tmp_path, tmp_path / "newest", 20)
    assert {folder.name for folder in tmp_path.iterdir()} == {"newest", "used"}
    make_room(tmp_path, tmp_path / "newest", 1)
    assert [folder.name for folder in tmp_path.iterdir()] == ["newest"]


def test_another_code_of_the_same_structure_is_another_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = "from torch import nn\nclass Scaled(nn.Module):\n    def forward(self, x):\n        return x * {}\n"
    keys: list[str] = []
    for factor in (2, 10):
        (tmp_path / "scaled_network.py").write_text(code.format(factor))
        network = importlib.import_module("scaled_network").Scaled()
        keys.append(key(Job(network=network, example=[(torch.zeros(1, 3), (0,))])))
    assert keys[0] != keys[1]
