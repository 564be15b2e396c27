"""Where and how the work runs: device, precision, threads."""

from fictile.engine.memory import free_memory
from fictile.engine.runtime import PRECISIONS, Runtime, choose_runtime, precision_name

__all__ = ["PRECISIONS", "Runtime", "choose_runtime", "free_memory", "precision_name"]
