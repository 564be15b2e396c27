"""Every kind of weight file: the same tensors come out, and what is no such file is refused in one sentence."""

import json
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from fictile.checkpoint import Weights, open_weights
from fictile.checkpoint.read import PIECE, find_weights
from fictile.errors import RequestError

SEVEN = torch.arange(7.0)
TENSORS: dict[str, Tensor] = {
    "whole": torch.randn(3, 4),
    "half": torch.randn(5).half(),
    "brain": torch.randn(2, 2).bfloat16(),
    "count": torch.tensor(7),
    "flags": torch.tensor([True, False]),
    "nothing": torch.zeros(0, 3),
    "eight": torch.randn(4).to(torch.float8_e4m3fn),
}


def same(weights: Weights, tensors: dict[str, Tensor]) -> bool:
    """Names, types, shapes, and every bit."""
    read = {name: weights.read(name) for name in weights.tensors}
    return read.keys() == tensors.keys() and all(
        read[name].dtype == tensor.dtype
        and read[name].shape == tensor.shape
        and weights.shape(name) == tuple(tensor.shape)
        and read[name].reshape(-1).view(torch.uint8).equal(tensor.reshape(-1).view(torch.uint8))
        for name, tensor in tensors.items()
    )


def test_safetensors_come_out_bit_by_bit(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "a.safetensors", {"title": "clay"})
    weights = open_weights(tmp_path / "a.safetensors")
    assert same(weights, TENSORS)
    assert (weights.format, weights.metadata, weights.notes) == ("safetensors", {"title": "clay"}, ())
    assert weights.size == (tmp_path / "a.safetensors").stat().st_size
    assert weights.tensors["half"].dtype == "F16"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["whole", "half", "brain", "nothing", "eight", "long"])
def test_a_tensor_in_another_type_is_what_torch_makes_of_it(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    """The long one takes several pieces, the last of them not whole."""
    tensors = TENSORS | {"long": torch.randn(3, PIECE // 4 + 1).half()}
    save_file(tensors, tmp_path / "a.safetensors")
    torch.save(tensors, tmp_path / "a.pt")
    for file in ("a.safetensors", "a.pt"):
        read = open_weights(tmp_path / file).read(name, dtype)
        assert read.dtype == dtype
        assert read.is_contiguous()
        assert read.equal(tensors[name].to(dtype))


def test_tensors_are_named_in_the_order_of_the_disk(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1), "b": torch.zeros(1, dtype=torch.float64)}, tmp_path / "a.safetensors")
    tensors = open_weights(tmp_path / "a.safetensors").tensors
    assert list(tensors) == ["b", "a"]  # the wider type first, as safetensors lays them out
    assert [info.start for info in tensors.values()] == [0, 8]


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    """With the bytes of one tensor gone bad on the disk, the others can still be read, and all can be listed."""
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(4), "b": torch.ones(4)}, path)
    weights = open_weights(path)
    path.write_bytes(path.read_bytes()[:-16])  # after it was opened
    assert weights.read("a").equal(torch.zeros(4))
    with pytest.raises(RequestError, match="has become shorter while it was read"):
        weights.read("b")


def test_names_under_a_prefix(tmp_path: Path) -> None:
    save_file({"vae.a": torch.zeros(1), "unet.a": torch.ones(1), "vae": torch.zeros(2)}, tmp_path / "a.safetensors")
    inner = open_weights(tmp_path / "a.safetensors").under("unet.")
    assert list(inner.tensors) == ["a"]
    assert inner.read("a").item() == 1


@pytest.mark.parametrize("zipped", [True, False])
def test_a_torch_pickle_of_either_age(tmp_path: Path, zipped: bool) -> None:
    tensors = {name: tensor for name, tensor in TENSORS.items() if zipped or name != "eight"}  # younger than the format
    content = {"state_dict": tensors, "global_step": 840000, "callbacks": {"x": {"best": torch.zeros(1)}}}
    torch.save(content, tmp_path / "a.ckpt", _use_new_zipfile_serialization=zipped)
    weights = open_weights(tmp_path / "a.ckpt")
    assert same(weights, tensors)
    assert (weights.format, weights.metadata) == ("pickle", {"global_step": "840000"})


def save_with(path: Path, global_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint with an object of that class, and the class itself, beside its tensors."""
    module, _, name = global_name.rpartition(".")
    made = type(name, (), {"__module__": module})
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:end]), ModuleType(".".join(parts[:end])))
    monkeypatch.setattr(sys.modules[module], name, made, raising=False)
    thing: Any = made()
    thing.monitor = "loss"
    torch.save({"state_dict": {"a": SEVEN}, "callbacks": {made: thing}}, path)


def test_what_lightning_left_beside_the_weights_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        save_with(tmp_path / "a.ckpt", "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint", patch)
    assert same(open_weights(tmp_path / "a.ckpt"), {"a": SEVEN})


def test_another_class_is_named_and_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        save_with(tmp_path / "a.ckpt", "some.framework.Callback", patch)
    with pytest.raises(RequestError, match=r"would run some\.framework\.Callback, which is no tensor"):
        open_weights(tmp_path / "a.ckpt")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_pickle_is_named_and_never_run(tmp_path: Path, zipped: bool) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"a": torch.zeros(1), "trap": Trap()}, tmp_path / "a.ckpt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        RequestError, match=r"would run getattr, which is no tensor, so it was not opened and nothing was run"
    ):
        open_weights(tmp_path / "a.ckpt")
    assert not (tmp_path / "sprung").exists()


def test_content_decides_and_a_wrong_extension_is_noted(tmp_path: Path) -> None:
    torch.save({"a": SEVEN}, tmp_path / "model.safetensors")
    weights = open_weights(tmp_path / "model.safetensors")
    assert same(weights, {"a": SEVEN})
    assert weights.notes == (
        "model.safetensors has the wrong extension: .safetensors says safetensors, but it is a torch pickle; "
        "rename it to model.ckpt.",
    )
    save_file({"a": SEVEN}, tmp_path / "model.ckpt")
    assert open_weights(tmp_path / "model.ckpt").notes[0].endswith("rename it to model.safetensors.")
    save_file({"a": SEVEN}, tmp_path / "model")
    assert open_weights(tmp_path / "model").notes == ()


def write_gguf(path: Path) -> dict[str, Any]:
    """A file with plain and quantised tensors, and a flattened one."""
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "sd1")
    plain, half = rng.standard_normal((3, 4)).astype(np.float32), rng.standard_normal((2, 5)).astype(np.float16)
    matrix = rng.standard_normal((4, 64)).astype(np.float32)
    quantised = gguf.quantize(matrix, gguf.GGMLQuantizationType.Q8_0)
    writer.add_array("comfy.gguf.orig_shape.flat", [2, 2, 1])
    writer.add_tensor("plain", plain)
    writer.add_tensor("half", half)
    writer.add_tensor("quantised", quantised, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("flat", np.arange(4, dtype=np.float32))
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    return {
        "plain": plain,
        "half": half,
        "matrix": matrix,
        "exact": gguf.dequantize(quantised, gguf.GGMLQuantizationType.Q8_0),
    }


def test_gguf_is_dequantised_when_it_is_read(tmp_path: Path) -> None:
    written = write_gguf(tmp_path / "a.gguf")
    weights = open_weights(tmp_path / "a.gguf")
    assert weights.format == "gguf"
    assert weights.metadata["general.architecture"] == "sd1"
    assert {name: (info.dtype, info.shape) for name, info in weights.tensors.items()} == {
        "plain": ("F32", (3, 4)),
        "half": ("F16", (2, 5)),
        "quantised": ("Q8_0", (4, 64)),
        "flat": ("F32", (2, 2, 1)),
    }
    assert weights.read("plain").equal(torch.from_numpy(written["plain"]))
    assert weights.read("half").equal(torch.from_numpy(written["half"]))
    assert weights.read("quantised").equal(torch.from_numpy(written["exact"]))
    torch.testing.assert_close(weights.read("quantised"), torch.from_numpy(written["matrix"]), rtol=0, atol=0.02)
    assert weights.read("flat").flatten().tolist() == [0, 1, 2, 3]


def shard(folder: Path, stem: str = "model", kind: str = "safetensors") -> dict[str, Tensor]:
    """Two shards and their index."""
    parts = [{"a": torch.randn(3), "b": torch.randn(2)}, {"c": torch.randn(4)}]
    names = [f"{stem}-0000{number}-of-00002.{kind}" for number in (1, 2)]
    for name, part in zip(names, parts, strict=True):
        save_file(part, folder / name)
    weight_map = {key: name for name, part in zip(names, parts, strict=True) for key in part}
    (folder / f"{stem}.{kind}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return {**parts[0], **parts[1]}


def test_shards_are_one(tmp_path: Path) -> None:
    tensors = shard(tmp_path)
    weights = open_weights(tmp_path / "model.safetensors.index.json")
    assert same(weights, tensors)
    assert len(weights.files) == 2
    assert same(find_weights(tmp_path, "model"), tensors)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(RequestError, match=r"lacks 1 of the 2 shards that .* names \(model-00002-of-00002"):
        find_weights(tmp_path, "model")


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        ({"a": "../outside.safetensors"}, "names files outside of its own folder"),
        ({"a": "model.safetensors.index.json"}, "names files outside of its own folder"),
        ({"z": "model-00001-of-00002.safetensors"}, r"says that z is in model-00001.*, but it is not"),
        ([], "is no index of shards"),
    ],
)
def test_a_wrong_index_is_refused(tmp_path: Path, index: object, sentence: str) -> None:
    shard(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    with pytest.raises(RequestError, match=sentence):
        open_weights(tmp_path / "model.safetensors.index.json")


def test_of_several_variants_the_plain_one_is_taken_or_the_one_asked_for(tmp_path: Path) -> None:
    names = ["m.safetensors", "m.fp16.safetensors", "m.non_ema.safetensors", "m.bin", "other.safetensors"]
    for number, name in enumerate(names):
        save_file({"a": torch.tensor(number)}, tmp_path / name)

    def found(variant: str | None = None) -> int:
        return int(find_weights(tmp_path, "m", variant).read("a"))

    assert (found(), found("fp16"), found("non_ema")) == (0, 1, 2)
    (tmp_path / "m.safetensors").unlink()
    assert found() == 1
    (tmp_path / "m.fp16.safetensors").unlink()
    assert found() == 2
    with pytest.raises(RequestError, match=r"has no m\.fp16\.safetensors, in one file or in shards"):
        found("fp16")


def cut(path: Path, count: int) -> None:
    path.write_bytes(path.read_bytes()[:-count])


def huge(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**33) + b"{")


def lying(path: Path) -> None:
    header = b'{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,4]}}'
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path, "does not exist; check the name"),
    "a folder": (lambda path: path.mkdir(), "is a folder, but a file was expected"),
    "empty": (lambda path: path.write_bytes(b""), r"is empty \(0 bytes\)"),
    "git lfs": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        "is a Git LFS pointer, a note of three lines in place of the file",
    ),
    "web page": (lambda path: path.write_text("<!doctype html>"), "is a web page that was saved in place of the file"),
    "picture": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), "is a picture, but"),
    "text": (lambda path: path.write_text("hello, I am a text"), "is no safetensors file, and nothing else"),
    "huge header": (huge, "claims a header of 8,589,934,592 bytes, but the format allows 100,000,000"),
    "lying header": (lying, "is a damaged safetensors file"),
    "truncated": (
        lambda path: (save_file({"a": torch.zeros(100)}, path), cut(path, 50)),
        r"is truncated: \d+ of \d+ bytes",
    ),
    "truncated pickle": (
        lambda path: (torch.save({"a": torch.zeros(100)}, path), cut(path, 50)),
        r"is truncated: the table at the end of the archive is not within its [\d,]+ bytes",
    ),
    "truncated old pickle": (
        lambda path: (torch.save({"a": SEVEN}, path, _use_new_zipfile_serialization=False), cut(path, 9)),
        "is a damaged torch pickle",
    ),
    "truncated gguf": (lambda path: (write_gguf(path), cut(path, 100)), "is a GGUF file that ends early or is damaged"),
    "no table": (lambda path: torch.save([torch.zeros(1)], path), "holds a list, but a table of named tensors"),
    "no tensors": (lambda path: torch.save({"epoch": 3}, path), "is a torch pickle without a single tensor"),
    "a bare pickle": (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "is a pickle that torch did not write"),
    "another zip": (
        lambda path: path.write_bytes(b"PK\x05\x06" + b"\0" * 18),
        "is no safetensors file, and nothing else",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_weight_file_is_refused_in_one_sentence(tmp_path: Path, case: str) -> None:
    path = tmp_path / "model.safetensors"
    make, sentence = BAD[case]
    make(path)
    with pytest.raises(RequestError, match=sentence) as refused:
        open_weights(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
