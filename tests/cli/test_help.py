"""Help pages: quick, and with something to copy on each."""

import subprocess
import sys

import pytest
from tests.cli.command_line import Run
from typer.core import TyperGroup
from typer.main import get_command

from fictile.cli import app
from fictile.sampling import SAMPLERS, SCHEDULES


def names(command: object, prefix: str = "") -> list[str]:
    """All commands below a group, sub-commands with their group's name: "train vae"."""
    if not isinstance(command, TyperGroup):
        return [prefix.strip()]
    return [name for key, below in command.commands.items() for name in names(below, f"{prefix} {key}")]


COMMANDS = names(get_command(app))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run: Run, command: str) -> None:
    outcome = run(*command.split(), "--help")
    assert outcome.code == 0
    assert f"$ fictile {command} " in outcome.stdout


def test_the_first_page_lists_every_command(run: Run) -> None:
    page = run("--help").stdout
    assert all(f" {command.split()[0]} " in page for command in COMMANDS)
    assert "$ fictile generate" in page


def test_help_names_every_sampler_and_schedule(run: Run) -> None:
    page = run("generate", "--help").stdout
    assert all(name in page for name in [*SAMPLERS, *SCHEDULES])


def test_help_needs_no_heavy_library() -> None:
    code = "import sys; sys.argv = ['fictile', '--help']\nfrom fictile.cli import main\n"
    code += (
        "try: main()\nfinally: print('HEAVY', {'torch', 'numpy', 'PIL', 'skimage', 'safetensors'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY set()"


def test_help_answers_within_half_a_second() -> None:
    """Of processor time, so that a busy machine does not fail it."""
    code = (
        "import sys, time\nfrom fictile.cli import main\nsys.argv = ['fictile', '--help']\n"
        "try: main()\nfinally: print('SECONDS', time.process_time())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout.split()[-1]) < 0.5
