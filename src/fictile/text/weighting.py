"""What the weight of a word does: it multiplies the features of its tokens."""

from collections.abc import Sequence
from difflib import get_close_matches

from jaxtyping import Float
from torch import Tensor

from fictile.errors import RequestError
from fictile.text.prompt import Segment, parse_prompt

WEIGHTINGS = ("a1111", "no_norm", "none")
"""How the brackets of a prompt are read.

a1111    they weight words, and every chunk keeps its mean: the web UI's emphasis "Original"
no_norm  they weight words, and the mean goes where it goes: the web UI's "No norm"
none     they are characters like others, and so is BREAK: the web UI's "None"
"""


def segments(prompt: str, weighting: str) -> list[list[Segment]]:
    """The prompt's parts in the way of reading that is asked for.

    Raises RequestError when there is no such way, or a weight is too large to be a number.
    """
    if weighting not in WEIGHTINGS:
        nearest = get_close_matches(weighting, WEIGHTINGS, n=1, cutoff=0)[0]
        raise RequestError(
            f"Weighting {weighting!r} is unknown: choose {', '.join(WEIGHTINGS)}; the nearest is {nearest!r}."
        )
    return [[Segment(prompt)]] if weighting == "none" else parse_prompt(prompt)


def weigh(
    features: Float[Tensor, "b n d"], weights: Sequence[Sequence[float]], weighting: str
) -> Float[Tensor, "b n d"]:
    """Each token's features times its weight; a row whose weights are all 1 stays as it is.

    With "a1111" a row is then scaled so that the mean of all its features is what it was, as the web UI does: the text
    as a whole is to speak no louder than before. Where the mean is near 0 that says little, hence "no_norm".
    """
    if all(weight == 1 for row in weights for weight in row):
        return features
    exact = features.float()
    weighted = exact * exact.new_tensor(weights)[..., None]
    if weighting == "a1111":
        weighted = weighted * (exact.mean((1, 2), keepdim=True) / weighted.mean((1, 2), keepdim=True))
    return weighted.to(features)
