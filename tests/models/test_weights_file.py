"""`cellproof.models._weights_file`: torch's own reader as the oracle, and pickles that want more than tensors."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file

from cellproof.checks import InputError
from cellproof.models._weights_file import holds_weights, read_weights


def tensors():
    torch.manual_seed(0)
    wide = torch.randn(4, 6)
    return {
        "plain": torch.randn(3, 2, 5),
        "turned": wide.T,
        "part": wide[1:3, 2:],
        "half": torch.randn(7).to(torch.bfloat16),
        "count": torch.tensor(12),
        "none": torch.zeros(0, 3),
        "learned": torch.nn.Parameter(torch.randn(2)),
    }


@pytest.mark.parametrize("new", [True, False], ids=["archive", "before torch 1.6"])
@pytest.mark.parametrize("ordered", [True, False])
def test_what_torch_saves_is_read_as_torch_reads_it(tmp_path, new, ordered):
    path = tmp_path / "weights.pth"
    torch.save(OrderedDict(tensors()) if ordered else tensors(), path, _use_new_zipfile_serialization=new)
    found, expected = read_weights(path), torch.load(path, weights_only=True)
    assert holds_weights(path)
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


def test_safetensors_are_read_unless_they_are_a_model_of_ours(tmp_path):
    path = tmp_path / "weights.safetensors"
    plain = {"a": torch.arange(6.0).reshape(2, 3)}
    save_file(plain, path)
    assert holds_weights(path)
    assert torch.equal(read_weights(path)["a"], plain["a"])
    save_file(plain, path, metadata={"cellproof": "{}"})
    assert not holds_weights(path)
    assert not holds_weights(tmp_path / "nowhere.pth")


class Command:
    """Runs a command when it is unpickled."""

    def __init__(self, file):
        self.file = str(file)

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


@pytest.mark.parametrize("new", [True, False])
def test_a_pickle_that_calls_anything_is_refused_before_it_does(tmp_path, new):
    path, mark = tmp_path / "weights.pth", tmp_path / "ran"
    torch.save({"a": torch.zeros(2), "b": Command(mark)}, path, _use_new_zipfile_serialization=new)
    with pytest.raises(InputError, match=r"weights\.pth: names (posix|nt)\.system, .* not looked up"):
        read_weights(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ([torch.zeros(2)], "holds a list, expected a state dict"),
        ({"epoch": 3, "state_dict": {}}, "'epoch' is a int, expected names and tensors alone"),
        (torch.nn.Linear(2, 2), r"names torch\.nn\.modules\.linear\.Linear"),
    ],
)
def test_what_is_no_plain_state_dict_is_refused(tmp_path, held, message):
    path = tmp_path / "weights.pth"
    torch.save(held, path)
    with pytest.raises(InputError, match=message):
        read_weights(path)


@pytest.mark.parametrize("new", [True, False])
def test_a_cut_file_is_refused(tmp_path, new):
    path = tmp_path / "weights.pth"
    torch.save(tensors(), path, _use_new_zipfile_serialization=new)
    whole = path.read_bytes()
    for kept in (0.2, 0.6, 0.98):
        path.write_bytes(whole[: int(kept * len(whole))])
        with pytest.raises(InputError, match=r"weights\.pth: "):
            read_weights(path)


def test_tensors_that_point_outside_of_their_numbers_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(4)}, path)
    from cellproof.models import _weights_file

    real = pickle.Unpickler.load
    monkeypatch.setattr(
        _weights_file._Reader,
        "load",
        lambda self: {name: type(p)(p.stored, 1, p.size, p.stride) for name, p in real(self).items()},
        raising=False,
    )
    with pytest.raises(InputError, match="a lies outside of its numbers"):
        read_weights(path)
