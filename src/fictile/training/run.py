"""The life of a training run: its folder, log, samples, checkpoints, and the loop."""

import contextlib
import dataclasses
import json
import math
import pickle
import signal
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from fictile.denoiser import UNetSpec
from fictile.errors import FictileError, RequestError
from fictile.files import check_folder, written_whole
from fictile.picture import save_picture
from fictile.text import TextSpec
from fictile.training.folder import Pictures, fingerprint
from fictile.training.optimiser import NotFiniteError
from fictile.training.options import ADAMW, Training

Metrics = dict[str, float]
About = dict[str, Any]  # what a run writes down of itself: its options and its pictures, as plain JSON values

OPTIONS, CHECKPOINT = "options.json", "checkpoint.pt"  # in the run's folder
FIXED = (
    "vae",
    "init",
    "decoder_of",
    "spec",
    "text",
    "size",
    "batch",
    "seed",
    "objective",
    "gan_width",
)  # for the whole of a run
PICTURES = "pictures"  # their fingerprint, which is fixed too


@runtime_checkable
class Trainee(Protocol):
    """What the loop drives."""

    def step(self, step: int) -> Metrics:
        """One optimiser step. Everything random in it depends on the seed and `step` alone."""
        ...

    def sample(self) -> tuple[Float[Tensor, "3 h w"], Metrics]:
        """A sheet of pictures that shows how far the training is, and measurements on held-out data."""
        ...

    def export(self, folder: Path) -> None:
        """Write the weights as they are to be used."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs, as tensors and plain values."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        ...


def open_run(options: Training, pictures: Sequence[Pictures], **specs: UNetSpec | TextSpec) -> About:
    """Make the run's folder, or find it with a run that these options continue, and write options.json.

    To be called when everything else has been checked. `specs` are those of the networks as they were made, for
    options.json: the options may leave open what the data and the VAE decide. Returns what `run` is to be given.

    Raises:
        RequestError: nothing can be written there, or the run there is another one.
    """
    about = describe(options) | {PICTURES: fingerprint(*pictures)}
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(
            f"{options.output} cannot be made ({error.strerror}); choose another output folder."
        ) from error
    path = options.output / OPTIONS
    check_folder(path)
    if (options.output / CHECKPOINT).exists():
        _check_continues(options, about, _read_checkpoint(options, mmap=True)["options"])
    made = about | {name: dataclasses.asdict(spec) for name, spec in specs.items()}
    with written_whole(path) as draft:
        draft.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    return about


def _check_continues(options: Training, about: About, before: About) -> None:
    """Raises RequestError unless `about` tells of the run that the checkpoint tells of in `before`."""
    identity = _identity(before)
    changed = [key for key, value in _identity(about).items() if identity[key] != value]
    if ("vae" in about) != ("vae" in before):
        other = "a denoiser" if "vae" in before else "a VAE"
        raise RequestError(f"{options.output} holds the run of {other}; choose another output folder.")
    if changed:
        raise RequestError(
            f"{options.output} holds a run with another {' and another '.join(changed)}; "
            "give the options it was started with, or another output folder."
        )
    if before.get(PICTURES, about[PICTURES]) != about[PICTURES]:
        raise RequestError(
            f"{options.data} has not the pictures, captions and weights that the run in {options.output} was started "
            "with; bring them back, or give another output folder."
        )


def run(trainee: Trainee, options: Training, about: About, *, console: Console | None = None) -> None:
    """Train to `options.steps`, from the run folder's checkpoint if it has one.

    `about` is what `open_run` gave for the folder. Ctrl-C ends the run after the current step, with a checkpoint.

    Raises:
        FictileError: the loss or the gradient is not finite; the last checkpoint stays as it was.
        KeyboardInterrupt: the run was interrupted and its state is saved.
    """
    console = console or Console(stderr=True)
    start = _restore(trainee, options)
    if start:
        console.print(_going_on(start, options), highlight=False)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    )
    with contextlib.closing(Log(options.output, start)) as log, bar, _interruption() as interrupted:
        task = bar.add_task("training", total=options.steps, completed=start)
        written, began, seen = time.monotonic(), time.monotonic(), 0
        for step in range(start, options.steps):
            try:
                metrics = trainee.step(step)
            except NotFiniteError as error:
                raise FictileError(_not_finite(step, options)) from error
            done, seen = step + 1, seen + options.batch
            bar.update(task, completed=done, description=f"loss {metrics['loss']:.4f}")
            if done % options.log_every == 0:
                log.write(done, metrics | {"pictures_per_second": seen / (time.monotonic() - began)})
                began, seen = time.monotonic(), 0
            last = done == options.steps
            if (last or done % options.sample_every == 0) and not interrupted():
                samples, measured = trainee.sample()
                log.picture(done, samples)
                log.write(done, measured)
                began, seen = time.monotonic(), 0
            stop = interrupted()
            if last or stop or time.monotonic() - written > 60 * options.checkpoint_minutes:
                _write_checkpoint(trainee, options, about, done)
                written = began = time.monotonic()
                seen = 0
            if stop:
                raise KeyboardInterrupt
    trainee.export(options.output)


class Log:
    """log.jsonl, pictures under samples/, and the same for TensorBoard where that is installed.

    Whatever an abandoned stretch of the run wrote after step `start` is forgotten.
    """

    def __init__(self, folder: Path, start: int) -> None:
        self.folder = folder
        self.path = folder / "log.jsonl"
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        self.board = None
        with contextlib.suppress(ImportError):
            from torch.utils.tensorboard.writer import SummaryWriter  # imported late: it is an extra, and slow

            self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=start + 1)
        if self.path.exists():
            lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            with written_whole(self.path) as draft:
                draft.write_text("".join(line for line in lines if _holds(line, start)), encoding="utf-8")

    def write(self, step: int, metrics: Metrics) -> None:
        """Append one line."""
        rounded = {key: float(f"{value:.6g}") for key, value in metrics.items() if math.isfinite(value)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "time": round(time.time()), **rounded}) + "\n")
        if self.board:
            for key, value in metrics.items():
                self.board.add_scalar(key, value, step)  # pyright: ignore[reportUnknownMemberType] # untyped library

    def picture(self, step: int, sheet: Float[Tensor, "3 h w"]) -> None:
        """Save a sheet of samples."""
        save_picture(sheet, self.folder / "samples" / f"{step:07d}.png")
        if self.board:
            self.board.add_image("samples", (sheet + 1) / 2, step)  # pyright: ignore[reportUnknownMemberType]

    def close(self) -> None:
        """Flush what is still buffered."""
        if self.board:
            self.board.close()


def _holds(line: str, start: int) -> bool:
    """Whether a line of the log is whole and of a step up to `start`."""
    try:
        return json.loads(line)["step"] <= start
    except ValueError:
        return False


def _going_on(start: int, options: Training) -> str:
    if start < options.steps:
        return f"Going on from step {start} of {options.steps}."
    return f"The run has done {start} steps, and {options.steps} are asked for: nothing is left but to write the model."


def _not_finite(step: int, options: Training) -> str:
    kept = options.output / CHECKPOINT
    remedy = f"the last good checkpoint is {kept}" if kept.exists() else "there is no checkpoint yet"
    return (
        f"The loss or its gradient is not a finite number at step {step}; {remedy}. "
        "Lower the learning rate, or use --precision float32."
    )


def _write_checkpoint(trainee: Trainee, options: Training, about: About, step: int) -> None:
    with written_whole(options.output / CHECKPOINT) as draft:
        torch.save({"step": step, "options": about, "state": trainee.state_dict()}, draft)


def _restore(trainee: Trainee, options: Training) -> int:
    """Load the checkpoint, if there is one. Returns the steps that are done."""
    if not (options.output / CHECKPOINT).exists():
        return 0
    saved = _read_checkpoint(options)
    trainee.load_state_dict(saved["state"])
    return saved["step"]


def _read_checkpoint(options: Training, *, mmap: bool = False) -> dict[str, Any]:
    """What `_write_checkpoint` wrote; with `mmap` its tensors stay on disk until they are looked at."""
    path = options.output / CHECKPOINT
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise RequestError(f"{path} is damaged; bring it back from a copy, or remove it to start again.") from error


def _identity(about: About) -> dict[str, Any]:
    """The options that cannot change on the way; a run that names no optimiser is older than the choice."""
    given = {"gan": bool(about.get("gan")), "optimiser": about.get("optimiser", ADAMW)}
    return {key: about.get(key) for key in FIXED} | given


def describe(options: Training) -> About:
    """The options as plain JSON values; a path is the same from wherever it was given."""

    def absolute(path: Path) -> str:
        return str(path.resolve())

    return json.loads(json.dumps(dataclasses.asdict(options), default=absolute))


@contextlib.contextmanager
def _interruption() -> Generator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed: the first press is only noted, the second one acts at once."""
    pressed = False

    def note(*_: object) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: the caller handles signals
        yield lambda: False
        return
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


def sheet(rows: list[Float[Tensor, "b 3 h w"]], gap: int = 4) -> Float[Tensor, "3 height width"]:
    """Pictures laid out in rows on white."""
    columns = max(len(row) for row in rows)
    height, width = rows[0].shape[2:]
    canvas = torch.ones(3, len(rows) * (height + gap) + gap, columns * (width + gap) + gap)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            top, left = gap + i * (height + gap), gap + j * (width + gap)
            canvas[:, top : top + height, left : left + width] = picture.clamp(-1, 1)
    return canvas
