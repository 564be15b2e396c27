"""The table of compressions, at toy size: two kinds of latent on the same pictures, for the same work."""

import json
from dataclasses import replace
from pathlib import Path

import compression
import pytest
from compression import Budget, compare, table, work_of

from fictile.autoencoder import KLSpec
from fictile.denoiser import UNetSpec
from fictile.text import TextSpec

KINDS = {
    "f2": KLSpec(widths=(16,), layers=1, channels=2, groups=8, mid_attention=False, stem=2),
    "f4": KLSpec(widths=(16, 16), layers=1, channels=4, groups=8, mid_attention=False, stem=2),
}
TOY = Budget(
    size=32,
    vae_steps=2,
    denoiser_steps=8,
    batch=2,
    limit=1000,
    prompts=2,
    pictures=4,
    unet=UNetSpec(widths=(16, 16), layers=1, depth=(0, 1), heads=(1, 1), groups=8),
    text=TextSpec(vocabulary=280, width=16, layers=1, heads=2, context=48),
)


@pytest.mark.usefixtures("no_packages")
def test_each_kind_is_trained_for_the_same_work_and_measured(tmp_path: Path) -> None:
    rows = compare(tmp_path, TOY, KINDS, tmp_path)
    fine, coarse = rows
    assert coarse.learnt_from == TOY.denoiser_steps * TOY.batch
    assert fine.learnt_from * fine.work == pytest.approx(coarse.learnt_from * coarse.work, rel=0.25)  # whole steps
    assert [row.values for row in rows] == [2 / 4 / 3, 4 / 16 / 3]
    told = table(rows)
    assert told == (tmp_path / "table.md").read_text("utf-8")
    assert "PSNR" in told
    assert "Fréchet" in told
    assert [one["kind"] for one in json.loads((tmp_path / "compression.json").read_text("utf-8"))] == list(KINDS)


def test_a_denoiser_of_twice_the_side_works_at_least_three_times_as_much() -> None:
    fine, coarse = (work_of(TOY, spec) for spec in KINDS.values())
    assert 3 < fine / coarse < 8
    assert work_of(replace(TOY, size=64), KINDS["f4"]) == pytest.approx(fine, rel=0.3)


def test_the_kinds_hold_what_their_names_say() -> None:
    for name, spec in compression.KINDS.items():
        assert name == f"f{spec.factor}, {spec.channels} channels"
