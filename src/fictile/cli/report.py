"""The words about pictures that were made. It knows the model, so the commands import it only when they run."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from fictile.cli.terminal import say, write_json
from fictile.made import EditedPicture, GeneratedPicture


def report(made: Sequence[tuple[GeneratedPicture | EditedPicture, Path]], seconds: float, json: bool) -> None:
    """Say what was made, to people or as JSON."""
    if json:
        entries = [{"path": str(path), "recipe": asdict(picture.recipe)} for picture, path in made]
        write_json({"pictures": entries, "seconds": round(seconds, 3)})
    for picture, path in made:
        say(f"{path}  seed {picture.recipe.seed}")
    recipe = made[0][0].recipe
    height, width = recipe.size
    say(f"{width}x{height}, {recipe.steps} steps of {recipe.sampler}, guidance {recipe.guidance:g}, in {seconds:.1f} s")
    say(f"VAE: {recipe.vae_origin}")
    for note in dict.fromkeys(note for picture, _ in made for note in picture.recipe.notes):
        say(f"Note: {note}", style="yellow")
