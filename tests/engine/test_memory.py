"""What the system gets back."""

import sys
from pathlib import Path

import psutil
import pytest
import torch
from torch import nn

from fictile.engine import let_go

MIB = 2**20


@pytest.mark.skipif(
    sys.platform != "linux" or not Path("/proc/self/status").exists(), reason="other systems keep what was freed"
)
def test_weights_that_are_let_go_are_the_systems_again() -> None:
    network = nn.Sequential(*(nn.Linear(1024, 1024) for _ in range(32)))  # 4 MiB each: blocks of malloc's heap
    process = psutil.Process()
    before = process.memory_info().rss
    let_go(network)
    assert before - process.memory_info().rss > 100 * MIB
    assert {parameter.device for parameter in network.parameters()} == {torch.device("meta")}
    assert network[0].weight.shape == (1024, 1024)
