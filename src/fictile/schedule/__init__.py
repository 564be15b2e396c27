"""How noisy a latent is at a time, and what a network predicts about it."""

from fictile.schedule.level import CLEAN, Level
from fictile.schedule.noise import DDPM, Cosine, Flow, Schedule, schedule_from_json, schedule_to_json
from fictile.schedule.prediction import PREDICTIONS, Prediction, prediction_of, target, to_x0

__all__ = [
    "CLEAN",
    "DDPM",
    "PREDICTIONS",
    "Cosine",
    "Flow",
    "Level",
    "Prediction",
    "Schedule",
    "prediction_of",
    "schedule_from_json",
    "schedule_to_json",
    "target",
    "to_x0",
]
