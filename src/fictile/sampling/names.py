"""What samplers and step schedules are called: ComfyUI's names, with A1111's and diffusers' as aliases."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from fictile.errors import RequestError
from fictile.sampling import spacing
from fictile.sampling.ancestral import ddim, ddpm, euler_ancestral
from fictile.sampling.dpmpp import dpmpp_2m, dpmpp_2m_sde
from fictile.sampling.euler import euler
from fictile.sampling.heun import heun
from fictile.sampling.lcm import lcm
from fictile.sampling.sampler import Sampler
from fictile.sampling.spacing import StepSchedule
from fictile.sampling.uni_pc import uni_pc, uni_pc_bh2

SAMPLERS: Mapping[str, Sampler] = {
    "euler": euler,
    "euler_ancestral": euler_ancestral,
    "heun": heun,
    "ddim": ddim,
    "ddpm": ddpm,
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "uni_pc": uni_pc,
    "uni_pc_bh2": uni_pc_bh2,
    "lcm": lcm,
}

SCHEDULES: Mapping[str, StepSchedule] = {
    "normal": spacing.normal,
    "karras": spacing.karras,
    "exponential": spacing.exponential,
    "sgm_uniform": spacing.sgm_uniform,
    "simple": spacing.simple,
    "beta": spacing.beta,
    "leading": spacing.leading,
    "trailing": spacing.trailing,
}

# AUTOMATIC1111's names, and in its style where it has none: recipes are written with them, and they are read back.
A1111_SAMPLERS: Mapping[str, str] = {
    "euler": "Euler",
    "euler_ancestral": "Euler a",
    "heun": "Heun",
    "ddim": "DDIM",
    "ddpm": "DDPM",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "uni_pc": "UniPC",
    "uni_pc_bh2": "UniPC bh2",
    "lcm": "LCM",
}
A1111_SCHEDULES: Mapping[str, str] = {
    "normal": "Normal",
    "karras": "Karras",
    "exponential": "Exponential",
    "sgm_uniform": "SGM Uniform",
    "simple": "Simple",
    "beta": "Beta",
    "leading": "DDIM",
    "trailing": "Trailing",
}
AUTOMATIC = "automatic"  # A1111's schedule for whoever does not choose one; a model then takes its default

_SAMPLER_ALIASES: Mapping[str, str] = {
    **{theirs: ours for ours, theirs in A1111_SAMPLERS.items()},
    # diffusers
    "EulerDiscreteScheduler": "euler",
    "FlowMatchEulerDiscreteScheduler": "euler",
    "EulerAncestralDiscreteScheduler": "euler_ancestral",
    "HeunDiscreteScheduler": "heun",
    "FlowMatchHeunDiscreteScheduler": "heun",
    "DDIMScheduler": "ddim",
    "DDPMScheduler": "ddpm",
    "DPMSolverMultistepScheduler": "dpmpp_2m",
    "UniPCMultistepScheduler": "uni_pc_bh2",
    "LCMScheduler": "lcm",
}

_SCHEDULE_ALIASES: Mapping[str, str] = {
    **{theirs: ours for ours, theirs in A1111_SCHEDULES.items()},
    "Uniform": "normal",  # A1111
    "linspace": "normal",  # diffusers
    "ddim_uniform": "leading",  # ComfyUI; the same where the count divides the training times
}


def sampler_name(name: str) -> str:
    """The key of `SAMPLERS` that `name` stands for, upper or lower case.

    Raises:
        RequestError: for a name that is nobody's; it names the nearest.
    """
    return _resolve("Sampler", name, SAMPLERS, _SAMPLER_ALIASES)


def schedule_name(name: str) -> str:
    """The key of `SCHEDULES` that `name` stands for, upper or lower case.

    Raises:
        RequestError: for a name that is nobody's; it names the nearest.
    """
    return _resolve("Step schedule", name, SCHEDULES, _SCHEDULE_ALIASES)


def split_name(name: str) -> tuple[str, str | None]:
    """A sampler's name that may end in its step schedule, as A1111 wrote it: "DPM++ 2M Karras".

    Returns (key of `SAMPLERS`, key of `SCHEDULES` or None where the name holds none).

    Raises:
        RequestError: where the part before the schedule, or the whole, is no sampler's name.
    """
    head, _, tail = name.strip().rpartition(" ")
    if head and tail.lower() in SCHEDULES:
        return sampler_name(head), tail.lower()
    return sampler_name(name), None


def chosen_names(sampler: str | None, schedule: str | None, *, usual: tuple[str, str]) -> tuple[str, str]:
    """The keys of `SAMPLERS` and `SCHEDULES` that are asked for; `usual` are those of a model, for what is None.

    A schedule by name goes before one at the end of the sampler's name, and "Automatic" is as good as None.

    Raises:
        RequestError: for a name that is nobody's; it names the nearest.
    """
    name, own = split_name(sampler or usual[0])
    if schedule and schedule.strip().lower() == AUTOMATIC:
        schedule = None
    return name, schedule_name(schedule or own or usual[1])


def _resolve(what: str, name: str, names: Iterable[str], aliases: Mapping[str, str]) -> str:
    known = {key.lower(): key for key in names} | {alias.lower(): key for alias, key in aliases.items()}
    asked = name.strip().lower()
    if asked in known:
        return known[asked]
    near = get_close_matches(asked, known, n=1, cutoff=0)[0]
    raise RequestError(f"{what} {name!r} is unknown; the nearest is {known[near]!r}, of {', '.join(names)}.")
