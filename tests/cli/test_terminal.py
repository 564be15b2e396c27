"""What is shown while a command works."""

import pytest

from fictile.cli.terminal import Work


def test_each_picture_that_is_sampled_alone_is_denoised_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stages, stage = list[str](), Work.stage

    def noted(work: Work, name: str) -> None:
        stages.append(name.partition(" ")[0])
        stage(work, name)

    monkeypatch.setattr(Work, "stage", noted)
    with Work.shown() as work:
        evaluated = work.denoising(2)
        for _picture in range(2):
            for index in range(2):
                evaluated(index, None, None, None)
    assert stages == ["Denoising", *["Denoising", "Decoding"] * 2]
