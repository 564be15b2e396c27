"""Where and how the work runs: device, precision, threads; what the machine can do, and what makes it slow."""

from fictile.engine.backend import BACKENDS, EAGER, OPENVINO, REFERENCE, Backend, Job, Run, choose_backend
from fictile.engine.doctor import Diagnosis, Finding, examine
from fictile.engine.machine import Machine, this_machine
from fictile.engine.memory import free_memory
from fictile.engine.runtime import PRECISIONS, Runtime, choose_runtime, precision_name

__all__ = [
    "BACKENDS",
    "EAGER",
    "OPENVINO",
    "PRECISIONS",
    "REFERENCE",
    "Backend",
    "Diagnosis",
    "Finding",
    "Job",
    "Machine",
    "Run",
    "Runtime",
    "choose_backend",
    "choose_runtime",
    "examine",
    "free_memory",
    "precision_name",
    "this_machine",
]
