"""The command line: `fictile generate` and its sisters, thin over `fictile.model`."""

from fictile.cli.app import app, main

__all__ = ["app", "main"]
