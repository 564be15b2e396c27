"""Choose a model's guidance by measuring: python tools/emoji/guidance.py runs/emoji/data --model runs/emoji/on/model

For each setting the same prompts are drawn with the same noise: how many pictures are nearest to a training picture of
the right concept, how many to one of the right style, and how far all are from the training pictures as a whole.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from build_dataset import PLAIN_STYLE
from evaluate import Example, Judge, chosen, console, read_examples
from measures import Features, Kept, frechet, nearest, share
from rich.console import Console
from rich.markdown import Markdown

import fictile
from fictile.denoiser import Guidance
from fictile.errors import FictileError, RequestError

SETTINGS = (
    *(Guidance(scale=scale) for scale in (1.0, 1.5, 2.0, 3.0, 4.5, 6.0)),
    *(Guidance(scale=scale, rescale=0.7) for scale in (3.0, 4.5)),
    *(Guidance(scale=3.0, interval=interval) for interval in ((0.0, 0.9), (0.2, 1.0), (0.2, 0.9))),
)


def main(
    data: Annotated[Path, typer.Argument(help="The data set that build_dataset.py made.")],
    model: Annotated[Path | None, typer.Option(help="A model folder; the packaged one if left out.")] = None,
    prompts: Annotated[int, typer.Option(min=2, help="Seen prompts, in the plain style.")] = 100,
) -> None:
    """Measure settings of guidance on one model."""
    try:
        console.print(f"{prompts} prompts for each of {len(SETTINGS)} settings")
        lines = measure(data, model, prompts)
    except FictileError as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(2 if isinstance(error, RequestError) else 1) from error
    Console().print(Markdown("\n".join(lines)))


def measure(data: Path, folder: Path | None, prompts: int, settings: Sequence[Guidance] = SETTINGS) -> list[str]:
    """A Markdown table, one line for each setting."""
    train = read_examples(data / "train")
    if not train:
        raise RequestError(f"{data} holds no data set; make one with build_dataset.py.")
    model, features = fictile.load(folder), Features()
    judge = Judge(model, features, train, Kept(data / "features"))
    examples = chosen([one for one in train if one.style == PLAIN_STYLE], prompts)
    lines = [
        "| guidance | rescale | interval | right concept | right style | Fréchet distance x 1000 |",
        "|---" * 6 + "|",
    ]
    for setting in settings:
        made = features(judge.draw([one.prompt for one in examples], f"Guidance {setting.scale}", guidance=setting))
        found = [train[row] for row in nearest(made, judge.known).tolist()]
        concept, style = (right(found, examples, part) for part in ("concept", "style"))
        low, high = setting.interval
        lines.append(
            f"| {setting.scale} | {setting.rescale} | {low} to {high} | {concept:.0%} | {style:.0%} "
            f"| {frechet(made, judge.known[[train.index(one) for one in examples]]):.0f} |"
        )
    return lines


def right(found: Sequence[Example], wanted: Sequence[Example], part: str) -> float:
    """The share of pairs that agree in their concept, or in their style."""
    return share(getattr(a, part) == getattr(b, part) for a, b in zip(found, wanted, strict=True))


if __name__ == "__main__":
    typer.run(main)
