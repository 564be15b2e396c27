"""The choice of device and precision, on machines that are and that are not this one."""

import pytest
import torch

from fictile.engine import PRECISIONS, choose_runtime
from fictile.errors import RequestError


@pytest.fixture
def _no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - used by name
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)


@pytest.fixture
def _two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] - used by name
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)


@pytest.mark.usefixtures("_no_accelerator")
@pytest.mark.parametrize(
    ("amx", "avx512_bf16", "dtype"),
    [(True, False, torch.bfloat16), (False, True, torch.bfloat16), (False, False, torch.float32)],
)
def test_a_cpu_runs_bf16_only_in_hardware(
    monkeypatch: pytest.MonkeyPatch, amx: bool, avx512_bf16: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    runtime = choose_runtime()
    assert (runtime.device.type, runtime.dtype, runtime.decode_dtype) == ("cpu", dtype, torch.float32)
    assert runtime.threads == torch.get_num_threads()


@pytest.mark.usefixtures("_two_gpus")
@pytest.mark.parametrize(("capability", "precision"), [((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_a_gpu_is_preferred_and_runs_what_it_is_fast_at(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], precision: str
) -> None:
    def of_device(_: torch.device) -> tuple[int, int]:
        return capability

    monkeypatch.setattr(torch.cuda, "get_device_capability", of_device)
    runtime = choose_runtime()
    assert (runtime.device.type, runtime.precision) == ("cuda", precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_named_precision_is_kept_and_fp16_never_decodes(precision: str) -> None:
    runtime = choose_runtime("cpu", precision)
    assert (runtime.precision, runtime.device) == (precision, torch.device("cpu"))
    assert runtime.decode_dtype == {"bf16": torch.bfloat16}.get(precision, torch.float32)


@pytest.mark.parametrize("alias", ["bfloat16", "float16", "fp32"])
def test_the_other_tools_names_of_precisions_are_understood(alias: str) -> None:
    assert choose_runtime("cpu", alias).precision in PRECISIONS


def test_an_unknown_precision_names_the_nearest() -> None:
    with pytest.raises(RequestError, match=r"'fp61'.*nearest is 'fp16'"):
        choose_runtime(precision="fp61")


@pytest.mark.usefixtures("_no_accelerator")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "tpu", "", "cpu:1"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="auto or one of cpu"):
        choose_runtime(name)


@pytest.mark.usefixtures("_two_gpus")
def test_a_gpu_may_be_named_by_its_number() -> None:
    assert choose_runtime("cuda:1", "bf16").device == torch.device("cuda:1")
    with pytest.raises(RequestError, match=r"'cuda:2'.*one of cpu, cuda"):
        choose_runtime("cuda:2")
