"""A model file comes back as it was written, and nothing else is taken for one."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import subprocess
import sys
import zipfile

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import load_file, save, save_file

from cellproof.checks import InputError
from cellproof.data.targets import heads_of
from cellproof.io import model_hash, read_header, read_model, write_model
from cellproof.types import (
    DeepProjection,
    Head,
    Heads,
    ImageKind,
    IntensityStatistics,
    LogisticModel,
    ModelHeader,
    TrainingRecord,
    TrustRecord,
)

HEADER = ModelHeader(
    name="nuclei",
    architecture="unet",
    heads=heads_of(2, ["flows"]),
    classes=("background", "µ-nucleus"),
    in_channels=3,
    stride_px=16,
    receptive_field_px=92,
    options={"width": 32, "norm": "batch", "dropout": 0.1, "deep": True},
    pixel_size_um=0.325,
    training=TrainingRecord(data="dsb2018", license="CC0-1.0", recipe='a = "b"\n', seed=3),
    statistics=IntensityStatistics(mean=(0.1, 0.2, 0.3), sd=(0.1, 0.1, 0.1)),
    metrics={"ap50": 0.9},
)
TENSORS = {"b.weight": np.arange(6, dtype=np.float16).reshape(2, 3), "a": np.array(2.5, np.float32)}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    write_model(path, HEADER, TENSORS)
    return path


@settings(max_examples=30, deadline=None)
@given(
    weights=st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(lambda name: name != "__metadata__"),
        st.sampled_from([np.float16, np.float32, np.int64, np.uint8]).flatmap(
            lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
        ),
        max_size=3,
    ),
    options=st.dictionaries(st.text(max_size=5), st.integers(-9, 9) | st.booleans() | st.text(max_size=5), max_size=3),
    temperature=st.floats(0.1, 10),
)
def test_header_and_weights_come_back(tmp_path_factory, weights, options, temperature):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    header = msgspec.structs.replace(HEADER, options=options, temperature=temperature)
    write_model(path, header, weights)
    assert read_header(path) == header
    read, tensors = read_model(path)
    assert read == header
    assert tensors.keys() == weights.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == weights[name].dtype
        assert tensor.flags.writeable
        np.testing.assert_array_equal(tensor, weights[name])
    oracle = load_file(path)
    assert all(oracle[name].tobytes() == weights[name].tobytes() for name in weights)


def test_a_single_number_gets_no_axis(model):
    assert read_model(model)[1]["a"].shape == ()


def test_transposed_weights_keep_their_values(tmp_path):
    weight = np.arange(6, dtype=np.float32).reshape(2, 3).T
    write_model(tmp_path / "m.safetensors", HEADER, {"w": weight})
    np.testing.assert_array_equal(read_model(tmp_path / "m.safetensors")[1]["w"], weight)


def test_the_same_content_gives_the_same_bytes_in_another_process(model, tmp_path):
    program = (
        "import sys, numpy as np\n"
        "from cellproof.io import read_model, write_model\n"
        "header, tensors = read_model(sys.argv[1])\n"
        "write_model(sys.argv[2], header, dict(reversed(tensors.items())))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, str(model), str(tmp_path / "b.safetensors")], check=True)
    assert (tmp_path / "b.safetensors").read_bytes() == model.read_bytes()
    assert model_hash(model) == hashlib.sha256(model.read_bytes()).hexdigest()


def test_a_metric_that_is_not_a_number_is_left_out(tmp_path):
    header = msgspec.structs.replace(HEADER, metrics={"ap50": np.float64(0.5), "dice": np.nan})
    write_model(tmp_path / "m.safetensors", header, {})
    assert read_header(tmp_path / "m.safetensors").metrics == {"ap50": 0.5}


@pytest.mark.parametrize("change", [{"temperature": np.nan}, {"classes": ["a", "b"]}, {"options": {"a": np.inf}}])
def test_a_header_that_would_not_come_back_is_refused(tmp_path, change):
    with pytest.raises(InputError, match="model header"):
        write_model(tmp_path / "m.safetensors", msgspec.structs.replace(HEADER, **change), {})
    assert list(tmp_path.iterdir()) == []


def _foreign(kind: str) -> bytes:
    if kind == "pickle":
        return pickle.dumps({"weight": 1})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"weight": 1}))
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (_foreign("pickle"), "never opened because it can run code"),
        (_foreign("torch"), "never opened because it can run code"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "no complete safetensors"),
        (b"\xff" * 50, "no complete safetensors"),
        (b"abc", "no complete safetensors"),
    ],
)
@pytest.mark.parametrize("read", [read_header, read_model])
def test_what_is_no_safetensors_file_is_refused(tmp_path, content, reason, read):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    _assert_refused(path, reason, read)


def test_a_missing_model_and_a_folder_are_refused(tmp_path):
    for read in (read_header, read_model, model_hash):
        _assert_refused(tmp_path / "absent.safetensors", "no such file", read)
        _assert_refused(tmp_path, "this is a folder", read)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        (None, "without CellProof's header"),
        ({"format": "pt"}, "without CellProof's header"),
        ({"format_version": "3"}, "model format 3, this version reads up to 2; update CellProof"),
        ({"format_version": "x"}, "model format x"),
        ({"cellproof": "{"}, "header cannot be used"),
        ({"cellproof": '{"name": "a", "color": 1}'}, "unknown field `color`|missing required field"),
    ],
)
def test_foreign_newer_and_broken_headers_are_refused(tmp_path, metadata, reason):
    path = tmp_path / "model.safetensors"
    if metadata is not None and "format" not in metadata:
        metadata = {"cellproof": msgspec.json.encode(HEADER).decode(), "format_version": "2"} | metadata
    save_file({"a": np.zeros(2, np.float32)}, path, metadata=metadata)
    for read in (read_header, read_model):
        _assert_refused(path, reason, read)


def test_an_unknown_key_is_named(tmp_path):
    header = msgspec.json.encode(HEADER).decode()[:-1] + ',"color_map":"x"}'
    path = tmp_path / "model.safetensors"
    save_file({}, path, metadata={"cellproof": header, "format_version": "2"})
    _assert_refused(path, "unknown field `color_map`", read_header)


def test_a_model_cut_anywhere_is_refused(model):
    data = model.read_bytes()
    for length in range(1, len(data), 37):
        model.write_bytes(data[:length])
        _assert_refused(model, "no complete safetensors", read_model)


def test_a_model_with_flipped_bytes_is_read_or_refused(model):
    data, rng = model.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        changed = bytearray(data)
        changed[rng.integers(len(data))] ^= int(rng.integers(1, 256))
        model.write_bytes(changed)
        message = _refusal_of(model)
        assert message is None or message.startswith(f"{model}: ")
        assert "\n" not in (message or "")


def _refusal_of(path) -> str | None:
    try:
        read_model(path)
    except InputError as error:
        return str(error)
    return None


def _assert_refused(path, reason, read):
    with pytest.raises(InputError, match=reason) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_the_outputs_of_a_model_of_format_1_are_read_by_name(tmp_path):
    written = {
        "name": "nuclei",
        "architecture": "unet",
        "heads": {"classes": 2, "boundary": True, "distance": True, "flows": True},
        "classes": ["background", "nucleus"],
        "in_channels": 3,
        "stride_px": 16,
        "receptive_field_px": 107,
        "training": {"licence": "CC0-1.0"},
    }
    metadata = {"cellproof": json.dumps(written), "format_version": "1"}
    (tmp_path / "old.safetensors").write_bytes(save({}, metadata=metadata))
    header = read_header(tmp_path / "old.safetensors")
    assert header.heads == heads_of(2, ["boundary", "distance", "flows"])
    assert (header.steps, header.conditions) == ((), ())


@pytest.mark.parametrize(
    ("heads", "reason"),
    [
        (Heads(2, (Head("a"), Head("a"))), "expected different names"),
        (Heads(2, (Head("classes"),)), "none of them classes"),
        (Heads(2, (Head("a", 0),)), "output a of 0 channels"),
        (Heads(2, (Head("a", 3, geometry="vector"),)), "a vector of 3 channels, expected 2"),
        (Heads(2, (Head("a", 6, geometry="rays"),)), "6 rays, expected a multiple of 4"),
        (Heads(2, (Head("a", unit=0.0),)), "output a in units of 0.0, expected more than 0"),
        (Heads(2, (Head("a", 8, geometry="rays", probabilities=1),)), "7 rays, expected a multiple of 4"),
        (Heads(2, (Head("a", 2, probabilities=3),)), "3 probabilities in 2 channels"),
    ],
)
def test_outputs_that_no_network_has_are_refused(tmp_path, heads, reason):
    write_model(tmp_path / "m.safetensors", msgspec.structs.replace(HEADER, heads=heads), {})
    with pytest.raises(InputError, match=reason):
        read_header(tmp_path / "m.safetensors")


TRUST = TrustRecord(
    objects=LogisticModel(("a", "b"), (0.0, 1.0), (1.0, 2.0), (0.5, 0.5)),
    f1=LogisticModel(("right",), (0.0,), (1.0,), (1.0,)),
    count_log_ratio=(0.0, 0.1),
    count_features=("missed",),
    count_error=(0.1, 0.2),
    accept_f1=0.8,
    accept_dice=0.8,
    deep=DeepProjection((0.0, 1.0), (1.0, 2.0), (1.0, 0.0)),
    kinds=(ImageKind("gray", 9, (0.0, 1.0), (1.0, 0.0, 1.0), 2.0),),
)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"objects": LogisticModel(("a", "b"), (0.0,), (1.0, 2.0), (0.5, 0.5))}, "trust.objects of 2 features with 1"),
        ({"f1": LogisticModel(("a",), (0.0,), (0.0,), (0.5,))}, "trust.f1 of 1 features"),
        (
            {"f1": LogisticModel(("a",), (0.0,), (1.0,), (0.5,), bends=(0.1, 0.2))},
            "trust.f1 of 1 features with 2 bends",
        ),
        ({"count_log_ratio": (0.0,)}, "trust.count_log_ratio of 1, expected 2"),
        ({"kinds": (ImageKind("", 9, (0.0, 1.0), (1.0, 0.0), 2.0),)}, "trust.kinds of 2 statistics and 2 numbers"),
        ({"kinds": (ImageKind("", 9, (0.0,), (1.0,), 0.0),)}, "trust.kinds with the line 0.0, expected more than 0"),
        ({"deep": DeepProjection((0.0,), (1.0, 1.0), (1.0,))}, "trust.deep of 1 means, 2 sds and 1 numbers"),
        ({"deep": DeepProjection((0.0, 0.0), (1.0, 0.0), (1.0, 0.0))}, "trust.deep of 2 means, 2 sds and 2 numbers"),
        ({"held_out_true": (1.0,)}, "trust of 0 expected and 1 true held-out F1"),
    ],
)
def test_a_trust_record_whose_numbers_do_not_belong_together_is_refused(tmp_path, change, words):
    write_model(tmp_path / "m.safetensors", msgspec.structs.replace(HEADER, trust=TRUST), {})
    assert read_header(tmp_path / "m.safetensors").trust == TRUST
    damaged = msgspec.structs.replace(HEADER, trust=msgspec.structs.replace(TRUST, **change))
    write_model(tmp_path / "m.safetensors", damaged, {})
    with pytest.raises(InputError, match=f"header cannot be used .{words}"):
        read_header(tmp_path / "m.safetensors")
