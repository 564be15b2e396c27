"""Weights on disk, and the networks they belong to."""

from fictile.checkpoint.assemble import assemble_autoencoder
from fictile.checkpoint.diffusers import (
    export_diffusers_autoencoder,
    export_diffusers_unet,
    load_diffusers_autoencoder,
    load_diffusers_unet,
)
from fictile.checkpoint.files import content_hash
from fictile.checkpoint.folder import Defaults, Hashes, Parts, load_model, save_model
from fictile.checkpoint.inspect import Inspection, inspect_file
from fictile.checkpoint.native import load_autoencoder, load_text, load_unet, save_autoencoder, save_text, save_unet

__all__ = [
    "Defaults",
    "Hashes",
    "Inspection",
    "Parts",
    "assemble_autoencoder",
    "content_hash",
    "export_diffusers_autoencoder",
    "export_diffusers_unet",
    "inspect_file",
    "load_autoencoder",
    "load_diffusers_autoencoder",
    "load_diffusers_unet",
    "load_model",
    "load_text",
    "load_unet",
    "save_autoencoder",
    "save_model",
    "save_text",
    "save_unet",
]
