"""What is counted of denoising, beside the operations of a run that really computes."""

from pathlib import Path

import pytest
import torch
from tests.tiny_model import tiny_folder

from fictile.denoiser import Guidance
from fictile.diffusion import Diffusion
from fictile.engine import Work, count
from fictile.errors import RequestError
from fictile.loading import load
from fictile.model import Model
from fictile.planning import outline, request_for
from fictile.planning.denoising import Denoising, denoising


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    made = load(folder, device="cpu", precision="float32")
    made.generate("a fox", seed=0, steps=1)  # so that the prompts have been read
    return made


def said(folder: Path, model: Model, *, group: int = 99, **asked: object) -> Denoising:
    parts = outline(folder)
    request = request_for(parts, "a fox", **asked)  # pyright: ignore[reportArgumentType]
    context = len(model.text.read("a fox").chunks) * parts.text.networks[0].spec.context
    return denoising(parts, parts.denoiser, request, min(group, request.count), context)


def really(model: Model, *, interval: tuple[float, float] | None = None, **asked: object) -> Work:
    """Of the same request, computed on the CPU."""
    counted = list[Work]()
    sample = Diffusion.sample

    def sampled(self: Diffusion, *given: object) -> torch.Tensor:
        found = list[torch.Tensor]()
        counted.append(count(lambda: found.append(sample(self, *given))))  # pyright: ignore[reportArgumentType]
        return found[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Diffusion, "sample", sampled)
        guidance = Guidance(scale=5.0, interval=interval or (0.0, 1.0))
        model.generate("a fox", seed=0, guidance=guidance, **asked)  # pyright: ignore[reportArgumentType]
    return counted[0]


@pytest.mark.parametrize(
    ("speed", "interval", "asked"),
    [
        ("exact", (0.3, 0.9), {"steps": 3}),
        ("fast", None, {"steps": 3, "count": 3, "group": 2}),
        ("faster", (0.3, 0.9), {"steps": 5}),
        ("fastest", None, {"steps": 4, "count": 3, "group": 2}),
        ("fast", (0.3, 0.9), {"steps": 2, "sampler": "heun"}),
    ],
    ids=str,
)
def test_operations_are_those_of_the_run(
    folder: Path, model: Model, speed: str, interval: tuple[float, float] | None, asked: dict[str, object]
) -> None:
    told = said(folder, model, speed=speed, guidance=5.0, interval=interval, **asked).work  # pyright: ignore[reportArgumentType]
    done = really(model, speed=speed, interval=interval, **asked)
    assert (told.convolution, told.matrix, told.attention) == (done.convolution, done.matrix, done.attention)
    assert told.convolution > 0
    assert told.calls <= done.calls, "the sampler has its own"


def test_less_is_counted_where_work_is_left_out(folder: Path, model: Model) -> None:
    exact, fast, faster = (said(folder, model, steps=3, speed=name).work for name in ("exact", "fast", "faster"))
    assert faster.convolution < fast.convolution < exact.convolution
    assert faster.memory >= exact.memory, "the features that are kept"


def test_reading_is_counted_once_and_steps_as_often_as_there_are(folder: Path, model: Model) -> None:
    one, two, three = (said(folder, model, steps=steps).work.calls for steps in (1, 2, 3))
    assert three - two == two - one
    assert two < 2 * one


def test_a_speed_that_there_is_none_of_is_refused(folder: Path) -> None:
    with pytest.raises(RequestError, match="There is no speed 'slow'"):
        request_for(outline(folder), "a fox", speed="slow")
