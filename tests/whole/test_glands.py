"""Glands as their images come: cut by the border, or none at all; scored as the challenge does."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from cellproof.io import read_json
from cellproof.io.png import write_png

ROWS, COLUMNS = np.mgrid[:80, :120]


def ring(row: int, column: int, *, outer: int, inner: int) -> np.ndarray:
    """(80, 120) bool, a gland with a lumen, cut where the image ends."""
    distance = np.hypot(ROWS - row, COLUMNS - column)
    return (distance <= outer) & (distance > inner)


def write(folder, name: str, gland: np.ndarray) -> None:
    """Write an image that is bright where the glands are."""
    folder.mkdir(exist_ok=True)
    write_png(folder / f"{name}.png", np.repeat((40 + 180 * gland).astype(np.uint8)[..., None], 3, axis=2))


@pytest.fixture
def scored(tmp_path, write_threshold_model, cellproof):
    """Function: glands of an image and their reference → labels, and the rows of the challenge's protocol."""

    def score(gland: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, dict[str, float | None]]:
        write(tmp_path / "images", "a", gland)
        (tmp_path / "masks").mkdir()
        write_png(tmp_path / "masks" / "a.png", reference.astype(np.uint8))
        model = write_threshold_model(tmp_path / "m.safetensors")
        results, scores = tmp_path / "results", tmp_path / "scores.json"
        done = cellproof("segment", tmp_path / "images", "--model", model, "--out", results, "--engine", "torch")
        assert done.code == 0, done.err
        done = cellproof("evaluate", results, tmp_path / "masks", "--protocol", "glas", "--json", scores)
        assert done.code == 0, done.err
        rows = {row["metric"]: row["value"] for row in read_json(scores)["rows"] if row["averaging"] == "pooled"}
        return tifffile.imread(results / "a_labels.tif"), rows

    return score


def test_a_gland_cut_by_the_border_keeps_its_open_lumen_and_a_whole_one_is_filled(scored):
    cut, whole = ring(0, 30, outer=24, inner=10), ring(48, 90, outer=22, inner=9)
    filled = ring(48, 90, outer=22, inner=-1)
    labels, rows = scored(cut | whole, cut + 2 * filled)
    np.testing.assert_array_equal(labels, cut + 2 * filled)
    assert (rows["F1 (GlaS)"], rows["object Dice"], rows["object Hausdorff"]) == (1, 1, 0)


def test_an_image_of_pure_background_is_empty_and_has_no_score(scored):
    nothing = np.zeros((80, 120), bool)
    labels, rows = scored(nothing, nothing)
    assert not labels.any()
    assert rows["F1 (GlaS)"] is None
    assert (rows["false glands"], rows["missed glands"]) == (0, 0)


def test_glands_found_in_pure_background_are_false(scored):
    labels, rows = scored(ring(40, 60, outer=20, inner=-1), np.zeros((80, 120), bool))
    assert labels.max() == 1
    assert (rows["F1 (GlaS)"], rows["false glands"], rows["missed glands"]) == (0, 1, 0)
