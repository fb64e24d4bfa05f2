from __future__ import annotations

import pytest
import torch

from cellproof.models.unet import build
from cellproof.training.options import LoopOptions, build_optimizer, use_bf16


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)]
)
def test_only_weights_of_convolutions_decay(name, kind):
    network = build(in_channels=1, out_channels=2, width=2, depth=2)
    optimizer = build_optimizer(network, LoopOptions(steps=1, optimizer=name, weight_decay=0.3))
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert type(optimizer) is kind
    assert all(decay[id(p)] == (0.3 if p.ndim > 1 else 0.0) for p in network.parameters())
    assert len(decay) == len(list(network.parameters()))


@pytest.mark.parametrize(
    ("asked", "native", "expected"),
    [("f32", True, False), ("bf16", False, True), ("auto", False, False), ("auto", True, True)],
)
def test_bf16_is_used_where_asked_or_native(monkeypatch, asked, native, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert use_bf16(asked, torch.device("cuda")) is expected


def test_a_processor_whose_build_cannot_be_asked_computes_in_f32(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert use_bf16("auto", torch.device("cpu")) is False
