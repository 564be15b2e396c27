"""What one run of the command line leaves behind."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """Exit code and output."""

    code: int
    stdout: str
    stderr: str

    @property
    def sentence(self) -> str:
        """The error, which is one line and all there is."""
        assert self.stdout == ""
        assert self.stderr.startswith("Error: "), self.stderr
        assert self.stderr.endswith(".\n"), self.stderr
        assert self.stderr.count("\n") == 1, self.stderr
        return self.stderr.strip()


Run = Callable[..., Outcome]
