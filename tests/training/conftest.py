"""What several tests of training start from."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fictile.training import train_vae

from .tiny_runs import picture_folder, vae_options


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """The last bits of a sum depend on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of captioned pictures. Tests leave it as it is."""
    return picture_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def vae(data: Path, one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an autoencoder that `train_vae` trained for a few steps."""
    return train_vae(vae_options(data, tmp_path_factory.mktemp("vae"), steps=10, precision="float32"))
