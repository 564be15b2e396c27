"""All of the packaged model's making, at toy size: pictures, autoencoder, denoiser, evaluation, in one call."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import rebuild
from PIL import Image
from rebuild import FULL, QUICK, Setting
from sheet import PROMPTS, broken, read_prompts

import fictile
from fictile.autoencoder import KLSpec
from fictile.denoiser import UNetSpec
from fictile.errors import RequestError
from fictile.text import TextSpec

TOOLS = Path(rebuild.__file__).parent
TOY = Setting(
    size=32,
    styles=("3d", "flat"),
    scenes=8,
    limit=1000,
    vae={
        "spec": KLSpec(widths=(16, 16), layers=1, channels=4, groups=8, mid_attention=False, stem=2),
        "steps": 2,
        "batch": 2,
    },
    denoiser={
        "spec": UNetSpec(widths=(16, 16), layers=1, depth=(0, 1), heads=(1, 1), groups=8),
        "text": TextSpec(vocabulary=280, width=16, layers=1, heads=2, context=48),
        "steps": 2,
        "batch": 2,
        "sample_steps": 1,
    },
    prompts=2,
    pictures=4,
)


@pytest.mark.usefixtures("no_packages")
def test_one_call_makes_the_data_the_model_and_its_table(tmp_path: Path) -> None:
    committed = (TOOLS / "heldout.txt").read_bytes(), (TOOLS / "heldout-scenes.txt").read_bytes()
    folder = rebuild.rebuild(tmp_path, TOY, tmp_path)
    (picture,) = fictile.load(folder).generate("a disc", seed=0)
    assert picture.pixels.shape == (3, 32, 32)
    assert picture.recipe.model == "emoji-2"

    report = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text("utf-8"))
    assert report["model"] == "emoji-2"
    told = " ".join(row["what"] for row in report["rows"])
    for figure in (
        "PSNR",
        "SSIM",
        "CIEDE2000",
        "seen prompts",
        "style",
        "Fréchet",
        "held-out scenes",
        "copies",
        "img2img",
    ):
        assert figure in told
    assert (tmp_path / "evaluation" / "table.md").read_text("utf-8").count("\n") == len(report["rows"]) + 2
    with Image.open(tmp_path / "evaluation" / "sheet.png") as sheet:
        assert sheet.height > 32
    after = (TOOLS / "heldout.txt").read_bytes(), (TOOLS / "heldout-scenes.txt").read_bytes()
    assert after == committed  # the lists of the real data set are not those of a trial

    before = (folder / "unet.safetensors").read_bytes()
    assert rebuild.rebuild(tmp_path, TOY, tmp_path) == folder  # a second call finds everything done
    assert (folder / "unet.safetensors").read_bytes() == before

    with pytest.raises(RequestError, match="holds a run with another"):
        rebuild.rebuild(tmp_path, replace(TOY, vae=TOY.vae | {"batch": 3}), tmp_path)


def test_the_sheet_asks_for_everyday_things_and_for_scenes_that_are_held_out() -> None:
    prompts = read_prompts(PROMPTS)
    assert prompts[:16] == read_prompts(TOOLS / "everyday.txt")
    assert len(prompts) == len(set(prompts)) == 32
    assert set(prompts[16:]) <= set(read_prompts(TOOLS / "heldout-scenes.txt"))


def test_the_packaged_models_shape_is_the_one_that_is_trained() -> None:
    packaged = fictile.load()
    assert packaged.space.channels == FULL.vae["spec"].channels
    assert packaged.space.factor == FULL.vae["spec"].factor == QUICK.vae["spec"].factor * 2
    assert packaged.denoiser.network.spec.widths == FULL.denoiser["spec"].widths
    assert packaged.defaults.guidance == FULL.denoiser["guidance"]


def test_captions_are_broken_between_words() -> None:
    def fits(line: str) -> bool:
        return len(line) <= 12

    assert broken("a fox", fits) == ["a fox"]
    assert broken("a panda wearing a rescue worker's helmet", fits) == [
        "a panda",
        "wearing a",
        "rescue",
        "worker's",
        "helmet",
    ]
    assert broken("an extraordinarily long word", fits) == ["an", "extraordinarily", "long word"]
    assert broken("", fits) == [""]
