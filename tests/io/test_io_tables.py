"""Tables come back as they were written, floats with all their digits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellproof.checks import InputError
from cellproof.io import read_csv, read_json, write_csv, write_json

_texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(_texts, st.integers(), st.floats(), st.floats(width=32)), max_size=6),
    name=_texts.filter(lambda text: text not in ("count", "area", "mean")),
)
def test_a_table_comes_back(tmp_path_factory, rows, name):
    path = tmp_path_factory.mktemp("tables") / "a.csv"
    texts, counts, areas, means = ([row[column] for row in rows] for column in range(4))
    columns = {name: texts, "count": counts, "area": areas, "mean": np.array(means, np.float32)}
    write_csv(path, columns)
    table = read_csv(path)
    assert list(table) == list(columns)
    assert table[name] == texts
    assert [int(cell) for cell in table["count"]] == counts
    np.testing.assert_array_equal([float(cell) for cell in table["area"]], areas)
    np.testing.assert_array_equal(np.array([np.float32(cell) for cell in table["mean"]]), np.array(means, np.float32))


def test_cells_are_short_and_stable(tmp_path):
    columns = {"a": np.array([0.1, np.nan], np.float32), "b": [1 / 3, None], "c": np.array([True, False])}
    write_csv(tmp_path / "a.csv", columns)
    assert (tmp_path / "a.csv").read_bytes() == b"a,b,c\n0.1,0.3333333333333333,True\nnan,,False\n"


def test_a_spreadsheet_s_byte_order_mark_and_line_ends_are_understood(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfname,n\r\nx,1\r\n\r\n")
    assert read_csv(tmp_path / "a.csv") == {"name": ["x"], "n": ["1"]}


def test_columns_of_different_lengths_are_refused(tmp_path):
    with pytest.raises(InputError, match="a 2, b 1"):
        write_csv(tmp_path / "a.csv", {"a": [1, 2], "b": [1]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\n\n", "no header"),
        (b"a,b\n1\n", "row 2 has 1 cells, expected 2"),
        (b"a,a\n1,2\n", "repeat"),
        (b"a\n\xff\xfe\n", "UTF-8"),
        (b'a\n"unclosed\n', "UTF-8 CSV"),
    ],
)
def test_a_broken_table_is_refused_in_one_line(tmp_path, content, reason):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        read_csv(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class _Timing:
    seconds: float
    file: Path


def test_json_takes_structured_values_and_numpy(tmp_path):
    value = {
        "timing": _Timing(1.5, Path("a/b")),
        "n": np.int64(3),
        "x": np.array([1.0, np.nan]),
        "y": math.inf,
        "µ": (),
    }
    write_json(tmp_path / "a.json", value)
    expected = {"timing": {"seconds": 1.5, "file": "a/b"}, "n": 3, "x": [1.0, None], "y": None, "µ": []}
    assert read_json(tmp_path / "a.json") == expected
    assert (tmp_path / "a.json").read_text(encoding="utf-8").startswith('{\n  "timing": {\n')


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": NaN}', b"\xff"])
def test_broken_json_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"empty|no valid JSON") as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: ")
