"""Pictures through autoencoders and back: the report, its numbers, and the page."""

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from tests.tiny_model import tiny_autoencoder

import fictile
from fictile.checkpoint import save_autoencoder
from fictile.codec import AutoencoderCodec
from fictile.engine import Runtime
from fictile.errors import RequestError
from fictile.fidelity import Report, Vae, averages, headline, open_vaes
from fictile.latent import Latent, LatentSpace
from fictile.picture import Picture, from_uint8, load_picture, to_uint8

EXACT = Runtime(device=torch.device("cpu"), dtype=torch.float32, decode_dtype=torch.float32, threads=1)
TOY = LatentSpace(id="toy", channels=3, factor=2)


class Blur:
    """A codec whose answers are known: a latent of half the size, and a picture of it, tinted and a little flatter."""

    name = "blur"

    def encode(self, picture: Picture) -> Latent:
        return Latent(torch.nn.functional.avg_pool2d(picture.pixels, 2)[None], TOY, (picture.height, picture.width))

    def decode(self, latent: Latent) -> Picture:
        pixels = latent.data[0].repeat_interleave(2, 1).repeat_interleave(2, 2)
        return Picture((0.9 * pixels + torch.tensor([0.06, 0.0, -0.02])[:, None, None]).clamp(-1, 1))


class Same(Blur):
    """Loses nothing."""

    name = "same"

    def encode(self, picture: Picture) -> Latent:
        return Latent(picture.pixels[None], TOY)

    def decode(self, latent: Latent) -> Picture:
        return Picture(latent.data[0])


def textured(height: int, width: int, seed: int = 0) -> Picture:
    """Waves, a little noise and colour, in 8 bits."""
    down, across = torch.linspace(0, 9, height)[:, None], torch.linspace(0, 12, width)[None]
    waves = torch.stack(
        [torch.sin(down * across / 6), torch.cos(down - across), torch.sin(across) * torch.ones(height, 1)]
    )
    noise = torch.randn(3, height, width, generator=torch.Generator().manual_seed(seed))
    return Picture(from_uint8(to_uint8((0.6 * waves + 0.1 * noise).clamp(-1, 1))))


@pytest.fixture(scope="module")
def report() -> Report:
    """Two pictures, one of them too small for five scales, through two codecs, twice."""
    return fictile.roundtrip([textured(192, 208), textured(24, 30, 1)], [Blur(), Same()], passes=2)


def test_one_trip_for_each_picture_and_autoencoder(report: Report) -> None:
    assert [(trip.picture, trip.vae) for trip in report.trips] == [
        *(("picture 1", "blur"), ("picture 1", "same")),
        *(("picture 2", "blur"), ("picture 2", "same")),
    ]
    assert report.passes == 2
    assert [trip.bits_per_pixel for trip in report.of("blur")] == [24, 24]  # 3 channels of 32 bits, a cell per 4 pixels
    assert report.trips[2].first.ms_ssim is None
    assert all(figures.psnr == math.inf for trip in report.of("same") for figures in trip.passes)


def test_json_holds_every_number_and_nothing_that_json_cannot_write(report: Report) -> None:
    content = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert [trip["passes"][0]["psnr"] for trip in content["trips"]][1::2] == [None, None]
    first = content["trips"][0]
    assert first["passes"][1]["delta_e"] == report.trips[0].passes[1].colour.delta_e
    assert [one["pass"] for one in first["forecast"]] == [3, 4, 5]
    assert first["worst"][0]["delta_e"] == report.trips[0].evidence.regions[0].delta_e


class Page(HTMLParser):
    """What a page refers to, its text, and whether its elements close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references, self.open, self.words = list[str](), list[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in ("meta", "img", "input", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_needs_nothing_beside_it_and_shows_the_numbers(report: Report, tmp_path: Path) -> None:
    report.save(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not page.open
    assert all(reference.startswith("data:image/") for reference in page.references)
    assert set(re.findall(r"url\((.{10})", text)) == {"data:image"}
    assert "http" not in re.sub(r"base64,[\w+/=]+", "", text)
    shown = " ".join(" ".join(page.words).split())
    for average in averages(report):
        assert f"{average.delta_e:.2f}" in shown
        assert f"{average.bits_per_pixel:.2f}" in shown
    for trip in report.trips:
        first = trip.first
        assert (f"{first.psnr:.2f} dB" if math.isfinite(first.psnr) else "equal") in shown
        assert f"{first.ssim:.4f}" in shown
        assert f"{first.colour.delta_e_95:.2f}" in shown
        assert f"{trip.evidence.regions[0].delta_e:.1f}" in shown
    assert "Through blur" in shown
    assert "-0%" not in shown
    assert text.count("<svg") == 2 * 2 * 2 - 2  # a PSNR that is infinite has no curve


def test_a_name_is_text_and_no_markup(tmp_path: Path) -> None:
    evil = tmp_path / "<b onload=x>&.png"
    textured(16, 16).save(evil)
    report = fictile.roundtrip(evil, [Blur()])
    report.save(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b onload" not in text
    assert "&lt;b onload=x&gt;&amp;.png" in text


def test_files_folders_and_the_precision_of_an_autoencoders_file(tmp_path: Path) -> None:
    save_autoencoder(tiny_autoencoder(), tmp_path / "tiny.safetensors")
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("b.png", "a.png"):
        textured(20, 28).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    report = fictile.roundtrip(folder, [tmp_path / "tiny.safetensors"], precisions=("auto", "bf16"))
    assert [picture.name for picture in report.pictures] == ["a.png", "b.png"]
    assert report.vaes == ("tiny float32", "tiny bf16")
    codec = AutoencoderCodec(tiny_autoencoder(), EXACT)
    assert {trip.space.split("-")[0] for trip in report.trips} == {codec.space.id.split("-")[0]}
    assert [trip.bits_per_pixel for trip in report.trips[:2]] == [
        pytest.approx(4 * 32 / 16),
        pytest.approx(4 * 16 / 16),
    ]
    assert report.trips[0].first != report.trips[1].first
    assert report.of("tiny float32")[0].first == report.of("tiny float32")[1].first  # the pictures are equal


def test_tilings_are_compared_and_named(tmp_path: Path) -> None:
    """In bands the answer is the same to a step of 8 bits here and there, and it is what ran."""
    save_autoencoder(tiny_autoencoder(), tmp_path / "tiny.safetensors")
    report = fictile.roundtrip(textured(24, 40), [tmp_path / "tiny.safetensors"], tilings=("off", "on"))
    assert report.vaes == ("tiny, tiling off", "tiny, tiling on")
    assert [trip.tiling for trip in report.trips] == ["off", "on"]
    assert [trip["tiling"] for trip in json.loads(json.dumps(report.as_json()))["trips"]] == ["off", "on"]
    assert report.trips[0].first.psnr == pytest.approx(report.trips[1].first.psnr, abs=0.05)
    with pytest.raises(RequestError, match="no tiling 'some'"):
        fictile.roundtrip(textured(24, 24), [Blur()], tilings=("some",))


def test_names_say_no_more_than_they_must() -> None:
    def names(*vaes: tuple[str, str, str]) -> list[str]:
        given = [Vae(name=name, codec=Blur(), precision=precision, tiling=tiling) for name, precision, tiling in vaes]
        return [vae.name for vae in open_vaes(given)]

    assert names(("a", "bf16", "on"), ("b", "float32", "off")) == ["a", "b"]
    assert names(("a", "bf16", "on"), ("a", "float32", "on")) == ["a bf16", "a float32"]
    assert names(*(("a", p, t) for p in ("bf16", "float32") for t in ("on", "off"))) == [
        *("a bf16, tiling on", "a bf16, tiling off", "a float32, tiling on", "a float32, tiling off")
    ]
    assert names(("a", "bf16", "on"), ("a", "bf16", "on")) == ["a (1)", "a (2)"]


def test_what_came_back_is_handed_over(tmp_path: Path) -> None:
    kept: list[tuple[str, str, Picture]] = []
    told: list[tuple[str, str, int]] = []

    def keep(name: str, vae: str, picture: Picture) -> None:
        kept.append((name, vae, picture))

    def hear(name: str, vae: str, number: int) -> None:
        told.append((name, vae, number))

    report = fictile.roundtrip(textured(16, 16), [Blur()], passes=3, callback=hear, result=keep)
    [(name, vae, picture)] = kept
    picture.save(tmp_path / "back.png")
    assert (name, vae) == ("picture 1", "blur")
    assert told == [("picture 1", "blur", number) for number in (1, 2, 3, 4)]  # the last is for what is foretold
    assert torch.equal(load_picture(tmp_path / "back.png").pixels, picture.pixels)  # it holds 8 bits already
    assert peak_signal_noise_ratio(to_uint8(textured(16, 16).pixels), to_uint8(picture.pixels)) == pytest.approx(
        report.trips[0].passes[-1].psnr, abs=1e-4
    )


@pytest.mark.parametrize(("passes", "pictures", "words"), [(0, "x", "0 passes"), (1, [], "No picture was given")])
def test_refused(passes: int, pictures: str | list[Path], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        fictile.roundtrip(pictures, [Blur()], passes=passes)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no picture in the folder"):
        fictile.roundtrip(tmp_path, [Blur()])


def test_the_best_is_the_closest_and_it_says_why() -> None:
    verdict = fictile.compare([textured(28, 32), textured(24, 24, 2)], [Blur(), Same()])
    assert verdict.best == "same"
    assert verdict.ranking == ("same", "blur")
    assert "2 of 2" in verdict.reason
    assert "at the price of a latent 4.0 times as large" in verdict.reason


def test_of_equals_the_smaller_latent_wins() -> None:
    half = Vae(name="half", codec=Blur(), precision="bf16")
    verdict = fictile.compare(textured(32, 32), [Blur(), half])
    assert verdict.best == "half"
    assert "equally well" in verdict.reason
    with pytest.raises(RequestError, match="nothing to compare it with"):
        fictile.compare(textured(32, 32), [Blur()])


def test_the_first_sentence_says_what_is_seen(report: Report) -> None:
    words = headline(report)
    assert words.startswith("Through blur, colours")
    assert "contrast falls by" in words
    assert "finest texture" in words
    assert "Through same, colours stay as they are, and fine texture stays." in words
