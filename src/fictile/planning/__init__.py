"""What a request will take before it runs, memory and time, and how it is made to fit."""

from fictile.planning.forecast import Forecast, Phase, Speeds, forecast
from fictile.planning.outline import opened_outline, outline
from fictile.planning.plan import Plan, in_words, make_plan, prepare
from fictile.planning.request import Request, request_for
from fictile.planning.way import Way

__all__ = [
    "Forecast",
    "Phase",
    "Plan",
    "Request",
    "Speeds",
    "Way",
    "forecast",
    "in_words",
    "make_plan",
    "opened_outline",
    "outline",
    "prepare",
    "request_for",
]
