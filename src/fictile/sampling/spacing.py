"""Step schedules: which noise levels to visit. Each returns `count` levels of falling noise, without the clean end.

ComfyUI's definitions under ComfyUI's names, and diffusers' for "leading" and "trailing", which ComfyUI has not.
docs/samplers.md says where the tools disagree.
"""

import math
from collections.abc import Callable

from fictile.schedule import Level, Schedule

StepSchedule = Callable[[Schedule, int], list[Level]]


def leading(schedule: Schedule, count: int) -> list[Level]:
    """Every (steps // count)-th training time, counted from 1: never the noisiest.

    diffusers' "leading" with steps_offset 1, as Stable Diffusion 1 was released with.
    """
    ratio = schedule.steps // count
    first = min(1, schedule.steps - 1 - (count - 1) * ratio)  # 0 only where all training times are wanted
    return [schedule.entry(first + i * ratio) for i in reversed(range(count))]


def trailing(schedule: Schedule, count: int) -> list[Level]:
    """Every (steps / count)-th training time, counted from the noisiest: right for zero terminal SNR.

    diffusers' "trailing" (arXiv 2305.08891, table 2).
    """
    return [schedule.entry(round(schedule.steps - i * schedule.steps / count) - 1) for i in range(count)]


def normal(schedule: Schedule, count: int) -> list[Level]:
    """Even in time from the noisiest training time to the cleanest, between training times too.

    ComfyUI's "normal", A1111's "Uniform"; the times of diffusers' "linspace" before it rounds them.
    """
    return _spread(schedule, _line(schedule.entry(schedule.steps - 1).time, schedule.entry(0).time, count))


def sgm_uniform(schedule: Schedule, count: int) -> list[Level]:
    """As `normal` with one step more, of which the cleanest is left out. ComfyUI's "sgm_uniform"."""
    return _spread(schedule, _line(schedule.entry(schedule.steps - 1).time, schedule.entry(0).time, count + 1)[:-1])


def simple(schedule: Schedule, count: int) -> list[Level]:
    """Every (steps / count)-th training time from the noisiest, rounded towards it. ComfyUI's "simple"."""
    return [schedule.entry(schedule.steps - 1 - int(i * schedule.steps / count)) for i in range(count)]


def karras(schedule: Schedule, count: int) -> list[Level]:
    """Even in scale^(1/7) from the noisiest training time to the cleanest (arXiv 2206.00364, equation 5).

    The scale is sigma / alpha, and sigma for flows. k-diffusion's and ComfyUI's "karras".
    """
    rho = 7.0
    most, least = _ends(schedule)
    return _scales(schedule, [root**rho for root in _line(most ** (1 / rho), least ** (1 / rho), count)])


def exponential(schedule: Schedule, count: int) -> list[Level]:
    """Even in the logarithm of the scale (see `karras`). k-diffusion's and ComfyUI's "exponential"."""
    most, least = _ends(schedule)
    return _scales(schedule, [math.exp(log) for log in _line(math.log(most), math.log(least), count)])


def beta(schedule: Schedule, count: int) -> list[Level]:
    """Training times at the quantiles of Beta(0.6, 0.6), dense at both ends (arXiv 2407.12173). ComfyUI's "beta".

    ComfyUI drops a step where two quantiles round to one time. Here all steps are kept, and where two would meet none
    is rounded.
    """
    last = schedule.steps - 1
    exact = [last * beta_quantile(1 - i / count, 0.6) for i in range(count)]
    rounded = [round(index) for index in exact]
    return [schedule.entry(index) for index in (rounded if len(set(rounded)) == count else exact)]


def beta_quantile(probability: float, shape: float) -> float:
    """Where the distribution function of Beta(shape, shape) reaches `probability`, by bisection."""
    if probability == 0.5:
        return 0.5  # exactly, for it is a tie that `beta` rounds
    if probability > 0.5:
        return 1 - beta_quantile(1 - probability, shape)
    half = _beta_integral(0.5, shape)
    low, high = 0.0, 0.5
    for _ in range(60):
        middle = (low + high) / 2
        if _beta_integral(middle, shape) < 2 * half * probability:
            low = middle
        else:
            high = middle
    return high


def _beta_integral(x: float, shape: float) -> float:
    """The integral of (t (1 - t))^(shape - 1) from 0 to x <= 1/2, by its power series (DLMF 8.17.7)."""
    total, term = 0.0, 1.0
    for k in range(60):
        total += term / (shape + k)
        term *= x * (1 - shape + k) / (k + 1)
    return x**shape * total


def _line(start: float, end: float, count: int) -> list[float]:
    """`count` evenly spaced numbers from start to end; the start alone if there is but one."""
    return [start + (end - start) * i / max(count - 1, 1) for i in range(count)]


def _ends(schedule: Schedule) -> tuple[float, float]:
    """The scale at the noisiest and at the cleanest training time."""
    return schedule.scale(schedule.entry(schedule.steps - 1).time), schedule.scale(schedule.entry(0).time)


def _spread(schedule: Schedule, times: list[float]) -> list[Level]:
    return [schedule.level(schedule.spread(time)) for time in times]


def _scales(schedule: Schedule, scales: list[float]) -> list[Level]:
    return [schedule.level(schedule.time_of(scale)) for scale in scales]
