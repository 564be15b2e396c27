"""Where and how the work runs: device, precision, threads; what the machine can do, and what makes it slow."""

from fictile.engine.backend import (
    BACKENDS,
    COMPILED,
    COMPILERS,
    EAGER,
    OPENVINO,
    REFERENCE,
    Backend,
    Job,
    Run,
    choose_backend,
)
from fictile.engine.calibration import Rates, calibrate
from fictile.engine.counting import Work, count
from fictile.engine.doctor import Diagnosis, Finding, examine
from fictile.engine.machine import Machine, this_machine
from fictile.engine.memory import free_memory, let_go, ran_out_of_memory
from fictile.engine.runtime import PRECISIONS, Runtime, choose_runtime, precision_name

__all__ = [
    "BACKENDS",
    "COMPILED",
    "COMPILERS",
    "EAGER",
    "OPENVINO",
    "PRECISIONS",
    "REFERENCE",
    "Backend",
    "Diagnosis",
    "Finding",
    "Job",
    "Machine",
    "Rates",
    "Run",
    "Runtime",
    "Work",
    "calibrate",
    "choose_backend",
    "choose_runtime",
    "count",
    "examine",
    "free_memory",
    "let_go",
    "precision_name",
    "ran_out_of_memory",
    "this_machine",
]
