"""An autoencoder run by OpenVINO: the same latents and pixels at every size, and only where it is not in bands."""

from pathlib import Path

import pytest
import torch
from tests.tiny_model import tiny_autoencoder

from fictile.autoencoder import as_kl
from fictile.codec import AutoencoderCodec
from fictile.engine import choose_runtime
from fictile.picture import Picture

TOLERANCE = 1e-4  # of values about 1: the same arithmetic in float32, in another order


@pytest.mark.parametrize("stem", [1, 2])
def test_openvino_encodes_and_decodes_the_same(stem: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install 'fictile[openvino]'")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    autoencoder = tiny_autoencoder(stem=stem)
    eager, compiled = (
        AutoencoderCodec(autoencoder, choose_runtime("cpu", "float32", backend)) for backend in ("eager", "openvino")
    )
    as_kl(compiled.autoencoder).network.decoder.register_forward_pre_hook(never)
    for height, width in [(32, 32), (21, 40)]:
        picture = Picture(torch.rand(3, height, width) * 2 - 1)
        latent = eager.encode(picture)
        torch.testing.assert_close(compiled.encode(picture).data, latent.data, rtol=TOLERANCE, atol=TOLERANCE)
        expected = eager.decode(latent).pixels
        torch.testing.assert_close(compiled.decode(latent).pixels, expected, rtol=0, atol=TOLERANCE)
    assert len(list((tmp_path / "fictile" / "openvino").iterdir())) == 2


def never(*_: object) -> None:
    raise AssertionError("torch ran the network")
