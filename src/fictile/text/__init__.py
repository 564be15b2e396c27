"""Prompt -> conditioning: the tokenizers, the syntax of prompts, and the text transformers."""

from fictile.text.chunks import Chunk, Prompt
from fictile.text.clip import CLIPTokenizer, clip_tokenizer
from fictile.text.conditioner import CLIPConditioner, TextConditioner, TextFeatures
from fictile.text.encoder import TextEncoder
from fictile.text.family import TEXT_FAMILIES, TextFamily
from fictile.text.known import CLIP_L, OPENCLIP_G, OPENCLIP_H
from fictile.text.prompt import Segment, parse_prompt
from fictile.text.spec import TextSpec
from fictile.text.tokenizer import Tokenizer
from fictile.text.transformer import TextOutput, TextTransformer
from fictile.text.weighting import WEIGHTINGS

__all__ = [
    "CLIP_L",
    "OPENCLIP_G",
    "OPENCLIP_H",
    "TEXT_FAMILIES",
    "WEIGHTINGS",
    "CLIPConditioner",
    "CLIPTokenizer",
    "Chunk",
    "Prompt",
    "Segment",
    "TextConditioner",
    "TextEncoder",
    "TextFamily",
    "TextFeatures",
    "TextOutput",
    "TextSpec",
    "TextTransformer",
    "Tokenizer",
    "clip_tokenizer",
    "parse_prompt",
]
