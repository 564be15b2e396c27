"""Where and how the work runs: device, precision, threads."""

from fictile.engine.runtime import PRECISIONS, Runtime, choose_runtime, precision_name

__all__ = ["PRECISIONS", "Runtime", "choose_runtime", "precision_name"]
