"""From a schedule's name and a number of steps to the noise levels that a sampler visits."""

from fictile.errors import RequestError
from fictile.sampling.names import SCHEDULES, schedule_name
from fictile.schedule import CLEAN, Level, Schedule


def make_steps(schedule: Schedule, name: str, count: int, strength: float = 1.0) -> list[Level]:
    """The levels of `count` steps, noisiest first, and `CLEAN` after them.

    Args:
        name: a step schedule, by any name that `schedule_name` knows.
        count: 1 to the schedule's training times (1000 as a rule).
        strength: how much of a given picture may change, above 0 and at most 1. Below 1 only the last
            round(count * strength) of the steps are returned, at least one, as in diffusers' image-to-image (which
            rounds down): half the strength is half the work. ComfyUI's denoise instead keeps `count` steps and makes
            them smaller.

    Raises:
        RequestError: for an unknown name, or a count or strength out of its range.
    """
    if not 1 <= count <= schedule.steps:
        raise RequestError(f"{count} steps were asked for: give a whole number from 1 to {schedule.steps}.")
    if not 0 < strength <= 1:
        raise RequestError(f"Strength {strength} is out of range: give a number above 0 and at most 1.")
    levels = SCHEDULES[schedule_name(name)](schedule, count)
    kept = max(1, round(count * strength))
    return [*levels[-kept:], CLEAN]
