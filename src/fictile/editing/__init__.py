"""What is around an edit: the canvas it is painted on, the window the model sees, the colours, and the proof."""

from fictile.editing.canvas import Edges, widened
from fictile.editing.colours import match_colours
from fictile.editing.masks import masked
from fictile.editing.proof import Verdict, verify
from fictile.editing.task import EditTask, input_hash, past
from fictile.editing.window import Window

__all__ = [
    "Edges",
    "EditTask",
    "Verdict",
    "Window",
    "input_hash",
    "masked",
    "match_colours",
    "past",
    "verify",
    "widened",
]
