"""Weights on disk, and the networks they belong to."""

from fictile.checkpoint.assemble import assemble_autoencoder
from fictile.checkpoint.autoencoders import open_autoencoder, read_autoencoder
from fictile.checkpoint.checkpoint import (
    Checkpoint,
    LoadedCheckpoint,
    load_checkpoint,
    open_checkpoint,
)
from fictile.checkpoint.convert import convert
from fictile.checkpoint.converted import Converted
from fictile.checkpoint.diffusers import (
    export_diffusers_autoencoder,
    export_diffusers_unet,
    load_diffusers_autoencoder,
    load_diffusers_unet,
)
from fictile.checkpoint.files import content_hash
from fictile.checkpoint.folder import Defaults, Hashes, Parts, load_model, save_model
from fictile.checkpoint.identify import Identity, identify
from fictile.checkpoint.inspect import Inspection, inspect_file
from fictile.checkpoint.native import load_autoencoder, load_text, load_unet, save_autoencoder, save_text, save_unet
from fictile.checkpoint.published import load_published, open_model
from fictile.checkpoint.read import open_weights
from fictile.checkpoint.weights import Weights

__all__ = [
    "Checkpoint",
    "Converted",
    "Defaults",
    "Hashes",
    "Identity",
    "Inspection",
    "LoadedCheckpoint",
    "Parts",
    "Weights",
    "assemble_autoencoder",
    "content_hash",
    "convert",
    "export_diffusers_autoencoder",
    "export_diffusers_unet",
    "identify",
    "inspect_file",
    "load_autoencoder",
    "load_checkpoint",
    "load_diffusers_autoencoder",
    "load_diffusers_unet",
    "load_model",
    "load_published",
    "load_text",
    "load_unet",
    "open_autoencoder",
    "open_checkpoint",
    "open_model",
    "open_weights",
    "read_autoencoder",
    "save_autoencoder",
    "save_model",
    "save_text",
    "save_unet",
]
