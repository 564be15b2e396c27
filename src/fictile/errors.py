"""What can go wrong, and whose fault it is. The command line turns the class into an exit code."""


class FictileError(Exception):
    """The work failed although the request was right (exit code 1)."""


class RequestError(FictileError):
    """The request was wrong: nothing was computed and nothing was written (exit code 2).

    The message says in one sentence what was seen, what was expected and what to do.
    """


class SpaceMismatch(RequestError):
    """Two latent spaces met that are not the same one."""
