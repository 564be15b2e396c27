"""What every test may rely on."""

import signal

import pytest
import torch
from hypothesis import settings

# A slow or busy machine is no failure.
settings.register_profile("fictile", deadline=None)
settings.load_profile("fictile")


@pytest.fixture(autouse=True)
def _same_dice() -> None:  # pyright: ignore[reportUnusedFunction] - pytest calls it
    """Each test starts from the same random state, whichever tests ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> None:
    """A shell that starts the tests in the background has them ignore Ctrl-C, which some of them press."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
