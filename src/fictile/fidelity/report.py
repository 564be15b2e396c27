"""Pictures through autoencoders and back, as often as asked, and everything that was measured on the way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from fictile.errors import RequestError
from fictile.fidelity.drift import LAST, Forecast, forecast
from fictile.fidelity.evidence import Evidence, evidence, webp
from fictile.fidelity.figures import Figures, measure
from fictile.fidelity.vae import Vae, VaeLike, one_pass, open_vaes
from fictile.files import check_folder, written_whole
from fictile.picture import Picture, load_picture

MOST_PASSES = 100
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".bmp"}  # what is taken from a folder


@dataclass(frozen=True, kw_only=True)
class Trip:
    """One picture through one autoencoder, once or several times in a row."""

    picture: str
    vae: str
    precision: str
    tiling: str  # as it was asked for
    space: str
    bits_per_pixel: float  # numbers in the latent, times the bits of each, over the pixels; a plain picture has 24
    passes: tuple[Figures, ...]  # each against the picture that set out
    forecast: tuple[Forecast, ...]  # of the passes that follow, up to the fifth; none if not asked for
    evidence: Evidence  # of the first pass
    last: bytes | None  # WebP after the last pass, where there are several

    @property
    def first(self) -> Figures:
        """What one pass cost."""
        return self.passes[0]


@dataclass(frozen=True, kw_only=True)
class Original:
    """A picture that set out."""

    name: str
    width: int
    height: int
    preview: bytes  # WebP


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that was measured, one trip for each picture and autoencoder."""

    pictures: tuple[Original, ...]
    vaes: tuple[str, ...]
    trips: tuple[Trip, ...]  # picture by picture, and of each in the order of the autoencoders

    @property
    def passes(self) -> int:
        """How often each picture went through."""
        return len(self.trips[0].passes)

    def of(self, vae: str) -> tuple[Trip, ...]:
        """The trips through one autoencoder."""
        return tuple(trip for trip in self.trips if trip.vae == vae)

    def save(self, path: str | Path) -> None:
        """Write the report as one HTML page that needs nothing beside it.

        Raises:
            RequestError: The place cannot be written to.
        """
        from fictile.fidelity.page import page

        with written_whole(path) as temporary:
            temporary.write_text(page(self), encoding="utf-8")

    def as_json(self) -> dict[str, object]:
        """All numbers as plain JSON values."""
        return {
            "pictures": [{"name": one.name, "width": one.width, "height": one.height} for one in self.pictures],
            "trips": [_trip_json(trip) for trip in self.trips],
        }


def roundtrip(
    pictures: str | Path | Picture | Sequence[str | Path | Picture],
    vaes: Sequence[VaeLike] = (),
    *,
    passes: int = 1,
    precisions: Sequence[str] = ("auto",),
    tilings: Sequence[str] = ("auto",),
    foretell: bool = True,
    device: str = "auto",
    max_memory: int | None = None,
    model: str | Path | None = None,
    callback: Callable[[str, str, int], None] | None = None,
    result: Callable[[str, str, Picture], None] | None = None,
) -> Report:
    """Send pictures through autoencoders and back, and measure what that cost.

    From one pass to the next a picture is rounded to 8 bits, as in the file that people would save it to.

    Args:
        pictures: files, folders of them, or pictures in memory.
        vaes: files, folders, models or codecs; the autoencoder of `model` (by default the packaged one) if none.
        passes: how often each picture goes through, 1 to 100.
        precisions: in which each file is run; "auto" is float32.
        tilings: in which each file is run: "on" is bands of rows, "off" is as a whole, "auto" is bands where memory is
            short.
        foretell: whether the passes that follow, up to the fifth, are foretold. They are made without measuring, which
            for a large picture takes longer than the report.
        max_memory: bytes that the process may hold (on CUDA, that it may take of the device): bands of rows, where the
            whole would take more.
        callback: told (picture, autoencoder, pass) before each pass, and once more before a forecast.
        result: given (picture, autoencoder, reconstruction) after the last pass of each trip.

    Raises:
        RequestError: A picture cannot be read, an autoencoder not be opened, or there is no such number of passes,
            precision or tiling.
    """
    if not 1 <= passes <= MOST_PASSES:
        raise RequestError(f"{passes} passes were asked for; choose 1 to {MOST_PASSES}.")
    several = pictures if isinstance(pictures, Sequence) and not isinstance(pictures, str) else [pictures]
    sources = _sources(cast("Sequence[str | Path | Picture]", several))
    opened = open_vaes(vaes, precisions, device, model, tilings, max_memory=max_memory)
    originals: list[Original] = []
    trips: list[Trip] = []
    for name, source in sources:
        picture = source if isinstance(source, Picture) else load_picture(source)
        originals.append(Original(name=name, width=picture.width, height=picture.height, preview=webp(picture)))
        for vae in opened:

            def before(number: int, vae: Vae = vae, name: str = name) -> None:
                if callback:
                    callback(name, vae.name, number)

            trip, after = _trip(picture, name, vae, passes, foretell, before)
            trips.append(trip)
            if result:
                result(name, vae.name, after)
    return Report(pictures=tuple(originals), vaes=tuple(vae.name for vae in opened), trips=tuple(trips))


def check_report(path: str | Path) -> None:
    """Raise RequestError if a report cannot be saved at `path`: call it before the work whose result goes there."""
    if Path(path).suffix.lower() not in {".html", ".htm"}:
        raise RequestError(f"{path} is no name for a report; end it in .html.")
    check_folder(path)


def _trip(
    picture: Picture, name: str, vae: Vae, passes: int, foretell: bool, before: Callable[[int], None]
) -> tuple[Trip, Picture]:
    before(1)
    latent, first = one_pass(picture, vae.codec)
    figures, after = [measure(picture, first)], first
    for number in range(2, passes + 1):
        before(number)
        _, after = one_pass(after, vae.codec)
        figures.append(measure(picture, after))
    foretold: tuple[Forecast, ...] = ()
    if foretell and passes < LAST:
        before(passes + 1)
        foretold = tuple(forecast(picture, after, vae.codec, done=passes))
    trip = Trip(
        picture=name,
        vae=vae.name,
        precision=vae.precision,
        tiling=vae.tiling,
        space=latent.space.id,
        bits_per_pixel=latent.data.numel() * vae.bits / (picture.width * picture.height),
        passes=tuple(figures),
        forecast=foretold,
        evidence=evidence(picture, first),
        last=webp(after) if passes > 1 else None,
    )
    return trip, after


def _sources(pictures: Sequence[str | Path | Picture]) -> list[tuple[str, Path | Picture]]:
    """Every picture with a name of its own; the files of a folder in the order of their names."""
    found: list[tuple[str, Path | Picture]] = []
    for index, one in enumerate(pictures, start=1):
        if isinstance(one, Picture):
            found.append((f"picture {index}", one))
        elif Path(one).is_dir():
            inside = sorted(path for path in Path(one).iterdir() if path.suffix.lower() in SUFFIXES)
            if not inside:
                raise RequestError(f"There is no picture in the folder {one}: give pictures, or a folder of them.")
            found += [(path.name, path) for path in inside]
        else:
            load_picture(one)  # whatever is wrong with it is said before the first autoencoder runs
            found.append((Path(one).name, Path(one)))
    if not found:
        raise RequestError("No picture was given; name one or more.")
    names = [name for name, _ in found]
    return [
        (f"{name} ({names[:index].count(name) + 1})" if names.count(name) > 1 else name, source)
        for index, (name, source) in enumerate(found)
    ]


def _trip_json(trip: Trip) -> dict[str, object]:
    return {
        "picture": trip.picture,
        "vae": trip.vae,
        "precision": trip.precision,
        "tiling": trip.tiling,
        "space": trip.space,
        "bits_per_pixel": trip.bits_per_pixel,
        "passes": [figures.as_json() for figures in trip.passes],
        "forecast": [
            {
                "pass": one.number,
                "psnr": one.psnr if one.psnr != float("inf") else None,
                "rgb_shift": list(one.rgb),
            }
            for one in trip.forecast
        ],
        "worst": [
            {"left": one.left, "top": one.top, "width": one.width, "height": one.height, "delta_e": one.delta_e}
            for one in trip.evidence.regions
        ],
    }
