"""Prompt -> conditioning: the tokenizer and the text transformer."""

from fictile.text.encoder import TextEncoder
from fictile.text.known import CLIP_L, OPENCLIP_G, OPENCLIP_H
from fictile.text.spec import TextSpec
from fictile.text.tokenizer import Tokenizer
from fictile.text.transformer import TextOutput, TextTransformer

__all__ = [
    "CLIP_L",
    "OPENCLIP_G",
    "OPENCLIP_H",
    "TextEncoder",
    "TextOutput",
    "TextSpec",
    "TextTransformer",
    "Tokenizer",
]
