"""Noise -> latent: step schedules, samplers and where their noise comes from."""

from fictile.sampling.ancestral import ddim, ddpm, euler_ancestral
from fictile.sampling.dpmpp import dpmpp_2m, dpmpp_2m_sde
from fictile.sampling.euler import euler
from fictile.sampling.heun import heun
from fictile.sampling.keep import keep, last_steps, started
from fictile.sampling.lcm import lcm
from fictile.sampling.names import (
    A1111_SAMPLERS,
    A1111_SCHEDULES,
    SAMPLERS,
    SCHEDULES,
    chosen_names,
    sampler_name,
    schedule_name,
    split_name,
)
from fictile.sampling.noise import StepNoise, initial_noise
from fictile.sampling.sampler import Callback, Denoise, Noise, Sampler
from fictile.sampling.steps import make_steps
from fictile.sampling.uni_pc import uni_pc, uni_pc_bh2

__all__ = [
    "A1111_SAMPLERS",
    "A1111_SCHEDULES",
    "SAMPLERS",
    "SCHEDULES",
    "Callback",
    "Denoise",
    "Noise",
    "Sampler",
    "StepNoise",
    "chosen_names",
    "ddim",
    "ddpm",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "euler",
    "euler_ancestral",
    "heun",
    "initial_noise",
    "keep",
    "last_steps",
    "lcm",
    "make_steps",
    "sampler_name",
    "schedule_name",
    "split_name",
    "started",
    "uni_pc",
    "uni_pc_bh2",
]
