"""Whether an edit left alone what it said it would."""

from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fictile.editing.canvas import Edges, grown_by, widened, widened_mask
from fictile.editing.task import input_hash, past
from fictile.errors import RequestError
from fictile.picture import Difference, Mask, Source, compare_untouched
from fictile.recipe import Edit


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What an edited picture is beside the one it was made of, outside all masks and their feathers."""

    edits: int  # that lie between the two
    pixels: int  # of the picture
    proof: bool  # whether the samples have the hash that the recipe of the last edit states
    difference: Difference  # to the input

    @property
    def intact(self) -> bool:
        """Whether not one sample differs."""
        return self.proof and self.difference.none

    def __str__(self) -> str:
        edits = "one edit" if self.edits == 1 else f"{self.edits} edits"
        seen = f"{self.difference.pixels:,} of {self.pixels:,} pixels lie outside of {edits}"
        if self.intact:
            return f"{seen}, and not one sample of them has changed"
        if self.difference.none:
            return f"{seen}; none differs from the input, but they are not those of the recipe's proof"
        much = f"at most {255 * self.difference.largest:.1f} and on average {255 * self.difference.mean:.2f} of 255"
        return f"{seen}; {self.difference.changed:,} of them differ, by {much}"

    def figures(self) -> dict[str, object]:
        """All of it as plain JSON values."""
        return {"intact": self.intact, **asdict(self)}


def verify(output: Source, against: Source) -> Verdict:
    """Compare an edited picture with its input, or with the input of an earlier edit in its recipe's history.

    Raises RequestError when the output carries no recipe of an edit, or of none that began with `against`.
    """
    edits = [recipe.edit for recipe in past(output.text) if recipe.edit is not None]
    if not edits:
        raise RequestError(f"{output.name} carries no recipe of an edit; give a picture as `fictile edit` saved it.")
    known = input_hash(against)
    begun = [index for index, edit in enumerate(edits) if edit.input == known]
    if not begun:
        raise RequestError(f"{output.name} was not made of {against.name}; give the picture that was edited.")
    canvas, painted = against, torch.zeros(against.height, against.width)
    last = painted
    for edit in edits[begun[-1] :]:
        edges = Edges(*edit.outpaint)
        last = _opacity(edit, (canvas.height, canvas.width), edges)
        canvas, painted = widened(canvas, edges), torch.maximum(grown_by(painted, edges, 1.0), last)
    return Verdict(
        edits=len(edits) - begun[-1],
        pixels=painted.numel(),
        proof=output.untouched_hash(last) == edits[-1].untouched,
        difference=compare_untouched(canvas, output, painted),
    )


def _opacity(edit: Edit, size: tuple[int, int], edges: Edges) -> Float[Tensor, "h w"]:
    mask = widened_mask(Mask.from_text(edit.mask) if edit.mask is not None else None, size, edges)
    if mask is None:
        return torch.ones(size)
    return mask.opacity(edit.feather)
