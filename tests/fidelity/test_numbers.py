"""Every number of a report, computed again by others: the JSON of a real run beside one that shares no code with it.

The chain of pictures is made again by the model itself and kept as PNG. From the bytes, scikit-image has the PSNR,
pytorch-msssim SSIM and MS-SSIM, the unchanged network of `efficientnet_lite_pytorch` the perceptual distance, and the
rest is written out in numpy here, the colours held to ColorAide's. Both documents have to have the same fields, so that
a field which nobody computes again is a failure.
"""

import json
import math
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coloraide import Color
from jaxtyping import Float, UInt8
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from pytorch_msssim import ms_ssim, ssim  # pyright: ignore[reportUnknownVariableType] - it is untyped
from skimage import data
from skimage.metrics import peak_signal_noise_ratio
from tests.fidelity.test_detail import LUMA, cosines

import fictile
from fictile.checkpoint.folder import PACKAGED
from fictile.fidelity import efficientnet, has_perceptual
from fictile.fidelity.perceptual import TAPS
from fictile.loading import load_codec
from fictile.picture import Picture, from_uint8

Bytes = UInt8[np.ndarray, "h w 3"]
SHARED = Path(__file__).parents[3] / "shared"
PHOTOS, TINY = SHARED / "photos", SHARED / "weights" / "taesd" / "taef2_encoder.pth"
PRINTED = Path(__file__).parents[2] / "docs" / "roundtrip-photographs.json"
SIDE = 192  # pixels: the least that MS-SSIM takes and that halves four times


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Bytes]]:
    """The face of skimage's astronaut as a file, and the bytes of it and of five passes through the packaged model."""
    folder, model = tmp_path_factory.mktemp("chain"), fictile.load()
    Image.fromarray(data.astronaut()[:SIDE, 100 : 100 + SIDE]).save(folder / "pass0.png")
    for number in range(1, 6):
        model.decode(model.encode(folder / f"pass{number - 1}.png")).save(folder / f"pass{number}.png")
    return folder / "pass0.png", [np.array(Image.open(folder / f"pass{number}.png")) for number in range(6)]


def lab(picture: Bytes) -> Float[np.ndarray, "h w 3"]:
    """CIELAB of sRGB (IEC 61966-2-1) under D65 (x 0.3127, y 0.3290), as CIE 15 has it."""
    value = picture / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    ratio = linear @ to_xyz.T / (to_xyz @ np.ones(3))
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ciede2000(first: Float[np.ndarray, "*n 3"], second: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
    """Sharma, Wu and Dalal 2005, equations 2 to 22."""
    (l1, a1, b1), (l2, a2, b2) = (np.moveaxis(one, -1, 0) for one in (first, second))
    mean_chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    grey = 1 + 0.5 * (1 - np.sqrt(mean_chroma**7 / (mean_chroma**7 + 25.0**7)))
    c1, c2 = np.hypot(grey * a1, b1), np.hypot(grey * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, grey * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180
    hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2)
    light, chroma, middle = (l1 + l2) / 2, (c1 + c2) / 2, (h1 + turn / 2) % 360
    weight = (1 - 0.17 * np.cos(np.radians(middle - 30)) + 0.24 * np.cos(np.radians(2 * middle))) + (
        0.32 * np.cos(np.radians(3 * middle + 6)) - 0.2 * np.cos(np.radians(4 * middle - 63))
    )
    s_l = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)
    s_c, s_h = 1 + 0.045 * chroma, 1 + 0.015 * chroma * weight
    blue = 60 * np.exp(-(((middle - 275) / 25) ** 2))
    rotation = -np.sin(np.radians(blue)) * 2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    terms = (l2 - l1) / s_l, (c2 - c1) / s_c, hue / s_h
    return np.sqrt(sum(term**2 for term in terms) + rotation * terms[1] * terms[2])


def perceptual(before: Bytes, after: Bytes) -> float | None:
    """From the features that the network's own blocks make on its way."""
    if not has_perceptual():
        return None
    network: Any = efficientnet().eval()
    seen: list[torch.Tensor] = []

    def see(_: object, __: object, output: torch.Tensor) -> None:
        seen.append(output)

    for tap in TAPS:
        network._blocks[tap].register_forward_hook(see)
    with torch.no_grad():
        network.extract_features(torch.stack([pixels(before), pixels(after)]).float() * 2 - 1)
    return sum(2 - 2 * torch.cosine_similarity(block[0], block[1], dim=0).mean().item() for block in seen)


def pixels(picture: Bytes) -> Float[torch.Tensor, "3 h w"]:
    """In [0, 1]."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1).double() / 255


def details(before: Bytes, after: Bytes) -> list[dict[str, float]]:
    """By the size of waves: the share that is there in its place, and at all."""
    height, width, _ = before.shape
    b, a = (
        (cosines(height) @ pixels(one).permute(1, 2, 0).matmul(LUMA) @ cosines(width).T).numpy()
        for one in (before, after)
    )
    waves = np.hypot(np.arange(height)[:, None] / (2 * height), np.arange(width) / (2 * width))
    bands = {(2, 4): waves > 1 / 4} | {(n, 2 * n): (waves > 1 / (2 * n)) & (waves <= 1 / n) for n in (4, 8, 16)}
    return [
        {
            "finest": finest,
            "coarsest": coarsest,
            "kept": (a * b)[inside].sum() / (b * b)[inside].sum(),
            "present": math.sqrt((a * a)[inside].sum() / (b * b)[inside].sum()),
        }
        for (finest, coarsest), inside in bands.items()
    ]


def figures(before: Bytes, after: Bytes) -> dict[str, object]:
    """What one pass left, as the report names it."""
    unit = pixels(before)[None], pixels(after)[None]
    old, new = lab(before), lab(after)
    differences = ciede2000(old, new)
    return {
        "psnr": peak_signal_noise_ratio(before, after),
        "ssim": float(ssim(*unit, data_range=1.0)),
        "ms_ssim": float(ms_ssim(*unit, data_range=1.0)),
        "perceptual": perceptual(before, after),
        "delta_e": differences.mean(),
        "delta_e_95": np.percentile(differences, 95),
        "rgb_shift": (after.astype(float) - before).mean(axis=(0, 1)).tolist(),
        "contrast": new[..., 0].std() / old[..., 0].std(),
        "saturation": np.hypot(new[..., 1], new[..., 2]).mean() / np.hypot(old[..., 1], old[..., 2]).mean(),
        "detail": details(before, after),
    }


def worst(before: Bytes, after: Bytes) -> list[dict[str, object]]:
    """The three squares of 64 pixels with the largest mean difference that do not overlap, every one looked at."""
    means = sliding_window_view(ciede2000(lab(before), lab(after)), (64, 64)).mean(axis=(2, 3)).copy()
    found: list[dict[str, object]] = []
    for _ in range(3):
        top, left = divmod(int(np.nanargmax(means)), means.shape[1])
        found.append({"left": left, "top": top, "width": 64, "height": 64, "delta_e": float(means[top, left])})
        rows, columns = np.ogrid[: means.shape[0], : means.shape[1]]
        means[(abs(rows - top) < 64) & (abs(columns - left) < 64)] = np.nan
        if np.isnan(means).all():
            break
    return found


def again(chain: list[Bytes], passes: int) -> dict[str, object]:
    """The whole document of a square picture and the packaged model."""
    before, space = chain[0], json.loads((files("fictile") / "builtin" / PACKAGED / "model.json").read_text())["space"]
    trip = {
        "picture": "pass0.png",
        "vae": "emoji",
        "precision": "float32",
        "tiling": "auto",
        "space": space["id"],
        "bits_per_pixel": space["channels"] * 32 / space["factor"] ** 2,
        "passes": [figures(before, after) for after in chain[1 : passes + 1]],
        "forecast": [
            {
                "pass": number,
                "psnr": peak_signal_noise_ratio(before, chain[number]),
                "rgb_shift": (chain[number].astype(float) - before).mean(axis=(0, 1)).tolist(),
            }
            for number in range(passes + 1, 6)
        ],
        "worst": worst(before, chain[1]),
    }
    return {"pictures": [{"name": "pass0.png", "width": SIDE, "height": SIDE}], "trips": [trip]}


def flat(value: object, path: str = "") -> dict[str, object]:
    """Every number and word of a document under its path."""
    if isinstance(value, dict):
        return {key: leaf for name, inner in value.items() for key, leaf in flat(inner, f"{path}.{name}").items()}
    if isinstance(value, list):
        return {key: leaf for index, inner in enumerate(value) for key, leaf in flat(inner, f"{path}[{index}]").items()}
    return {path: value}


@pytest.mark.parametrize("passes", [1, 2])
def test_every_field_of_the_report_is_what_others_compute(chain: tuple[Path, list[Bytes]], passes: int) -> None:
    report = fictile.roundtrip(chain[0], passes=passes)
    check_equal(report.as_json(), again(chain[1], passes))


def check_equal(document: object, computed: object, tolerance: float = 2e-4) -> None:
    """The same fields, and the same in them.

    MS-SSIM halves a picture four times, and libraries fill odd sides up differently: a rough comparison allows it 1e-2.
    """
    found, wanted = (flat(json.loads(json.dumps(one))) for one in (document, computed))
    assert found.keys() == wanted.keys()
    for field, value in wanted.items():
        if isinstance(value, int | float):
            near = max(tolerance, 1e-2) if field.endswith("ms_ssim") and tolerance > 2e-4 else tolerance
            assert found[field] == pytest.approx(value, rel=near, abs=near), field
        else:
            assert found[field] == value, field


@pytest.mark.slow
@pytest.mark.skipif(not TINY.exists(), reason="needs taesd's weights and photographs in ../shared")
@pytest.mark.parametrize("vae", ["emoji", "taef2"])
@pytest.mark.parametrize("name", sorted(path.stem for path in PHOTOS.glob("*.jpg")) or ["none"])
def test_every_number_of_the_six_photographs_is_what_others_compute(tmp_path: Path, name: str, vae: str) -> None:
    """And the first pass of it what the docs print, as far as machines differ in the last digits."""
    codec = load_codec(TINY) if vae == "taef2" else fictile.load()
    with Image.open(PHOTOS / f"{name}.jpg") as photo:
        small = photo.convert("RGB")
    small.thumbnail((448, 448), Image.Resampling.LANCZOS)
    small.save(tmp_path / f"{name}.png")
    chain = [np.array(small)]
    for number in range(1, 6):
        codec.decode(codec.encode(Picture(from_uint8(chain[-1])))).save(tmp_path / f"{number}.png")
        chain.append(np.array(Image.open(tmp_path / f"{number}.png")))
    report: Any = fictile.roundtrip(tmp_path / f"{name}.png", [TINY if vae == "taef2" else vae], passes=5).as_json()
    (trip,) = report["trips"]
    check_equal(trip["passes"], [figures(chain[0], after) for after in chain[1:]], 1e-3)
    check_equal(trip["worst"], worst(chain[0], chain[1]), 1e-3)
    (printed,) = (
        one
        for one in json.loads(PRINTED.read_text("utf-8"))["trips"]
        if (one["picture"], one["vae"]) == (f"{name}.png", vae)
    )
    check_equal(printed["passes"][0], trip["passes"][0], 2e-2)


def test_the_colours_written_out_are_those_of_coloraide(chain: tuple[Path, list[Bytes]]) -> None:
    first, second = (one.reshape(-1, 3)[::371] for one in chain[1][:2])
    colours = [[Color("srgb", (pixel / 255).tolist()) for pixel in side] for side in (first, second)]
    wanted = [[list(colour.convert("lab-d65").coords()) for colour in side] for side in colours]
    assert np.abs(lab(first) - wanted[0]).max() < 2e-2
    differences = [a.delta_e(b, method="2000", space="lab-d65") for a, b in zip(*colours, strict=True)]
    assert np.abs(ciede2000(lab(first), lab(second)) - differences).max() < 5e-3
