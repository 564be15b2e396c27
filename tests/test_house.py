"""What the project says about itself is true."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

import fictile
from fictile.cli.app import app

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "fictile"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_readme_shows_the_tree_in_the_order_of_the_flow() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = re.search(r"^```\n(picture/ .*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert tree is not None, "the README has no fenced block that begins with picture/"
    shown = [line.split()[0] for line in tree[1].splitlines()]

    [layers] = [contract["layers"] for contract in PROJECT["tool"]["importlinter"]["contracts"] if "layers" in contract]
    flow = [name for layer in reversed(layers) for name in layer.split(" | ")]
    assert [re.sub(r"/|\.py$", "", name) for name in shown] == [*flow[flow.index("picture") :], "builtin"]
    assert set(shown) == {
        f"{path.name}/" if path.is_dir() else path.name
        for path in PACKAGE.iterdir()
        if path.name not in {"__init__.py", "__pycache__", "py.typed", "errors.py", "files.py"}
    }


def test_the_changelog_begins_with_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changelog, re.MULTILINE)[0] == fictile.__version__


def test_every_public_name_is_there() -> None:
    assert set(fictile.__all__) == set(dir(fictile))
    for name in fictile.__all__:
        assert getattr(fictile, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'utils'"):
        fictile.utils  # noqa: B018 # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


@pytest.mark.parametrize("code", ["import fictile", "from fictile.cli import main; main(['--help'])"])
def test_torch_is_not_imported_before_it_is_needed(code: str) -> None:
    """It takes a second or more, which nobody should wait for to read a help page."""
    told = f"import atexit, sys; atexit.register(lambda: print('torch' in sys.modules)); {code}"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_the_documents_name_only_commands_that_exist() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    named = {
        command
        for document in documents
        for command in re.findall(r"(?:^|`)fictile ([a-z]+)", document.read_text(encoding="utf-8"), re.MULTILINE)
    }
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    assert named <= set(group.commands)


def test_every_link_in_the_documents_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (document.parent / link).exists(), f"{document.name} links to {link}"
