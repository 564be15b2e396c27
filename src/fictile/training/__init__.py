"""Pictures -> weights: training the VAE, and the denoiser together with its text transformer."""

from fictile.training.denoiser import train_denoiser
from fictile.training.options import DenoiserTraining, Training, VAETraining, objective_of, optimiser_of
from fictile.training.vae import train_vae

__all__ = ["DenoiserTraining", "Training", "VAETraining", "objective_of", "optimiser_of", "train_denoiser", "train_vae"]
