import pytest
import torch

from chromatic_descent.training.hardware import describe_versions, resolve_precision


@pytest.mark.parametrize(
    ("features", "wanted"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bf16-mixed"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bf16-mixed"),
        ({"avx512_bf16": False, "amx_bf16": False}, "32-true"),
        ({}, "32-true"),
    ],
)
def test_auto_is_bfloat16_where_the_processor_has_it(monkeypatch, features, wanted):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    assert resolve_precision("auto", "cpu") == wanted
    assert resolve_precision("auto", "auto") == wanted


@pytest.mark.parametrize(("supported", "wanted"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_on_cuda(monkeypatch, supported, wanted):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert resolve_precision("auto", "auto") == wanted
    assert resolve_precision("auto", "gpu") == wanted


def test_what_is_asked_for_is_kept():
    assert resolve_precision("16-mixed", "cpu") == "16-mixed"


def test_versions_name_what_decides_the_bits():
    assert {"python", "torch", "lightning", "chromatic-descent"} <= describe_versions().keys()
