"""How the commands that draw find out, before they load a model, how a request fits into the memory there is."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fictile.cli.terminal import say

if TYPE_CHECKING:
    from fictile.engine import Runtime
    from fictile.planning import Plan


def fitted(
    model: Path | None, vae: Path | None, runtime: "Runtime", prompt: str, *, verbose: bool = False, **asked: Any
) -> "Plan | None":
    """The plan of a request, or None where it is so small that it needs none; `asked` is as in
    `planning.request_for`.

    What is done otherwise to fit is said, and with `verbose` each phase. Raises RequestError for what cannot fit.
    """
    from fictile.planning import make_plan, opened_outline, prepare, request_for

    parts = opened_outline(model, vae)
    request = request_for(parts, prompt, **asked)
    plan = make_plan(parts, request, runtime) if verbose else prepare(parts, request, runtime)
    for line in plan.lines(verbose=verbose) if plan else ():
        say(line)
    return plan
