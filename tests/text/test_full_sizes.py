"""Parity of the released text encoders with transformers, on random weights. Slow: `scripts/test -m slow`."""

from typing import Any

import pytest
import torch
from tests.text.test_transformer import prompts, relative_error, their_config
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from fictile.text import CLIP_L, OPENCLIP_G, OPENCLIP_H, TextSpec, TextTransformer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("spec", [CLIP_L, OPENCLIP_H, OPENCLIP_G], ids=["clip-l", "openclip-h", "openclip-g"])
@torch.no_grad()
def test_equals_transformers(spec: TextSpec) -> None:
    torch.manual_seed(0)
    ours = TextTransformer(spec).eval()
    for parameter in ours.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.02)
    theirs: Any = (CLIPTextModelWithProjection if spec.projection else CLIPTextModel)(their_config(spec)).eval()
    prefixed = any(name.startswith("text_model.") for name in theirs.state_dict())
    own = {name if prefixed else name.removeprefix("text_model."): one for name, one in ours.state_dict().items()}
    theirs.load_state_dict(own, assign=True)  # the weights are held once
    ids = prompts(spec, (3, 75))
    seen, expected = ours(ids), theirs(ids, output_hidden_states=True)
    for state, expected_state in zip(seen.hidden_states, expected.hidden_states, strict=True):
        assert relative_error(state, expected_state) <= 1e-4
    pooled = expected["text_embeds" if spec.projection else "pooler_output"]
    assert relative_error(seen.pooled, pooled) <= 1e-4
