"""What several tests of training start from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fictile.training import train_vae

from .tiny_runs import one_thread, picture_folder, vae_options


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction] - pytest calls it
    with one_thread():
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of captioned pictures. Tests leave it as it is."""
    return picture_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def vae(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an autoencoder that `train_vae` trained for a few steps."""
    with one_thread():
        return train_vae(vae_options(data, tmp_path_factory.mktemp("vae"), steps=10, precision="float32"))
