"""`evaluate`: from files on disk to rows, tables, JSON and exit codes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from cellproof.checks import InputError, UsageError
from cellproof.cli.evaluate import evaluate_command
from cellproof.io import read_csv, read_json, write_classes, write_csv, write_labels
from cellproof.metrics.rows import Row
from cellproof.workflows.evaluate import protocols
from cellproof.workflows.evaluate.score import evaluate_folders, score_folders

OBJECTS = {"one": 4, "three": 3, "two": 5}
MODALITIES = {"one": "bright", "three": "dark", "two": "dark"}


def squares(count: int) -> np.ndarray:
    labels = np.zeros((30, 40), np.uint16)
    for number, (row, column) in enumerate(list(np.ndindex(3, 4))[:count], start=1):
        labels[row * 10 : row * 10 + 6, column * 10 : column * 10 + 6] = number
    return labels


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A data set of three images of squares, with an attribute; returns its only split."""
    data = tmp_path / "squares"
    for name, count in OBJECTS.items():
        for kind in ("images", "masks"):
            (data / "val" / kind).mkdir(parents=True, exist_ok=True)
            write_labels(data / "val" / kind / f"{name}.tif", squares(count))
    (data / "dataset.toml").write_text(
        'name = "squares"\nmasks = "instances"\nclasses = ["square"]\nattributes = "table.csv"\nignore = 900\n'
    )
    lines = [f"{name},{modality}" for name, modality in MODALITIES.items()]
    (data / "table.csv").write_text("\n".join(["name,modality", *lines]) + "\n")
    return data / "val"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Predictions as `segment` names them: right, but for the last object of image two."""
    folder = tmp_path / "results"
    folder.mkdir()
    for name, count in OBJECTS.items():
        write_labels(folder / f"{name}_labels.tif", squares(count - (name == "two")))
        write_classes(folder / f"{name}_classes.tif", (squares(count) > 0).astype(np.uint8))
    return folder


def semantic_set(tmp_path: Path, *, classes: str = '["background", "cell"]') -> tuple[Path, Path]:
    """Folders of predictions and of a data set with one class map, half right, with a row not annotated."""
    predictions, reference = tmp_path / "out", tmp_path / "maps"
    (reference / "masks").mkdir(parents=True)
    predictions.mkdir()
    write_labels(reference / "masks" / "a.tif", np.array([[0, 0, 1, 1], [255] * 4], np.uint16))
    write_classes(predictions / "a_classes.tif", np.array([[0, 1, 1, 0], [1, 1, 1, 1]], np.uint8))
    (reference / "dataset.toml").write_text(f'name = "m"\nmasks = "semantic"\nclasses = {classes}\nignore = 255\n')
    return predictions, reference


def run(*arguments: object) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(evaluate_command)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def pick(rows: list[Row], metric: str, of: str = "", *, averaging: str = "pooled", group: str = "") -> Row:
    wanted = (metric, of, averaging, group)
    found = [row for row in rows if (row.metric, row.class_or_threshold, row.averaging, row.group) == wanted]
    assert found, f"no row {wanted}"
    return found[0]


def problems(rows: list[Row]) -> list[str]:
    return [row.problem for row in rows if row.problem]


def test_results_of_segment_are_scored_against_a_split(split: Path, results: Path) -> None:
    rows = evaluate_folders(results, split)
    ap = pick(rows, "AP (StarDist)", "0.5")
    assert (ap.value, ap.n_images, ap.n_objects) == (11 / 12, 3, 12)
    assert pick(rows, "AP (StarDist)", "0.95", averaging="mean over images").value == pytest.approx((1 + 1 + 0.8) / 3)
    assert pick(rows, "misses").value == 1
    assert not problems(rows)


def test_the_command_prints_tables_and_writes_every_row(split: Path, results: Path, tmp_path: Path) -> None:
    target = tmp_path / "scores.json"
    code, output = run(results, split, "--json", target)
    assert code == 0
    for wanted in ("AP", "0.917", "misses 1", "3 images, 12 objects", "left out of the mean", "95 %"):
        assert wanted in output
    written = read_json(target)["rows"]
    rows = evaluate_folders(results, split)
    assert len(written) == len(rows)
    assert [row["metric"] for row in written] == [row.metric for row in rows]
    assert written[0]["value"] == rows[0].value
    # Three images are too few for an interval.
    assert written[0]["interval"] == [None, None]
    assert all(math.isnan(end) for end in rows[0].interval)


def test_a_missing_prediction_counts_as_all_missed_and_is_said(split: Path, results: Path, tmp_path: Path) -> None:
    (results / "one_labels.tif").unlink()
    target = tmp_path / "scores.json"
    code, output = run(results, split, "--json", target)
    assert code == 1
    assert "one: no prediction of this name; counted as all missed" in output
    rows = evaluate_folders(results, split)
    assert pick(rows, "AP (StarDist)", "0.5").value == 7 / 12
    assert pick(rows, "AP (StarDist)", "0.5", averaging="mean over images").value == pytest.approx((0 + 1 + 0.8) / 3)
    error = read_json(target)["rows"][-1]
    assert (error["metric"], error["value"], error["n_objects"]) == ("unusable prediction", None, 4)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.write_bytes(b""), "one: "),
        (lambda path: path.write_bytes(path.read_bytes()[:40]), "one: "),
        (lambda path: write_labels(path, squares(4)[:20]), "shapes differ: prediction (20, 40), reference (30, 40)"),
        (lambda path: write_labels(path, np.stack([squares(4)] * 2), plane_axes="T", plane_shape=(2,)), "2 planes"),
    ],
    ids=["empty file", "cut file", "another size", "too many planes"],
)
def test_an_unusable_prediction_counts_as_all_missed(split: Path, results: Path, damage, sentence: str) -> None:
    damage(results / "one_labels.tif")
    rows = evaluate_folders(results, split)
    assert len(problems(rows)) == 1
    assert sentence in problems(rows)[0]
    assert problems(rows)[0].endswith("counted as all missed")
    assert pick(rows, "AP (StarDist)", "0.5").value == 7 / 12


def test_an_unreadable_reference_is_left_out_and_said(split: Path, results: Path) -> None:
    (split / "masks" / "one.tif").write_bytes(b"no image")
    rows = evaluate_folders(results, split)
    assert pick(rows, "AP (StarDist)", "0.5").value == 7 / 8
    assert [row.metric for row in rows if row.problem] == ["unreadable reference"]
    assert problems(rows)[0].startswith("one: ")
    assert problems(rows)[0].endswith("not counted")


def test_without_a_usable_reference_there_is_no_score(split: Path, results: Path) -> None:
    for path in (split / "masks").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(InputError, match="none of 3 references"):
        evaluate_folders(results, split)


def test_all_predictions_missing_scores_zero(split: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    rows = evaluate_folders(tmp_path / "nothing", split)
    assert pick(rows, "AP (StarDist)", "0.5").value == 0
    assert len(problems(rows)) == 3


def test_groups_score_as_their_images_alone_would(split: Path, results: Path) -> None:
    rows = evaluate_folders(results, split, by="modality")
    for name in ("three", "two"):
        (split / "masks" / f"{name}.tif").unlink()
    alone = evaluate_folders(results, split)
    # By repr, since NaN is not equal to itself.
    bright = [repr(replace(row, group="")) for row in rows if row.group == "bright"]
    assert bright == [repr(row) for row in alone]
    assert pick(rows, "AP (StarDist)", "0.5", group="dark").value == 7 / 8
    assert pick(rows, "AP (StarDist)", "0.5").value == 11 / 12


def test_the_command_shows_groups_in_one_table(split: Path, results: Path) -> None:
    code, output = run(results, split, "--by", "modality")
    assert code == 0
    assert "dark: 2 images, 8 objects" in output


def test_an_unknown_column_is_refused_with_those_there_are(split: Path, results: Path) -> None:
    with pytest.raises(InputError, match="cannot group by 'color'; the attributes' columns are modality"):
        evaluate_folders(results, split, by="color")


def test_pixels_without_annotation_do_not_count_in_either_protocol(split: Path, results: Path) -> None:
    mask = squares(4)
    mask[:, 20:] = 900
    write_labels(split / "masks" / "one.tif", mask)
    rows = evaluate_folders(results, split)
    # Two of the four squares lie in the ignored part, and so do their predictions.
    assert pick(rows, "AP (StarDist)", "0.5").value == 9 / 10
    by_pixel = evaluate_folders(results, split, protocol="pixel")
    assert pick(by_pixel, "IoU", "square").value == 9 / 10
    assert pick(by_pixel, "IoU", "square").n_objects == 10


def test_class_maps_are_scored_by_class_and_pixel(tmp_path: Path) -> None:
    rows = evaluate_folders(*semantic_set(tmp_path))
    assert pick(rows, "IoU", "cell").value == 1 / 3
    assert pick(rows, "accuracy").value == 0.5
    assert pick(rows, "accuracy").n_objects is None


def test_a_class_map_without_prediction_is_missed_in_every_class(tmp_path: Path) -> None:
    predictions, reference = semantic_set(tmp_path)
    (predictions / "a_classes.tif").unlink()
    rows = evaluate_folders(predictions, reference)
    assert pick(rows, "IoU", "cell").value == 0
    assert pick(rows, "accuracy").value == 0
    assert math.isnan(pick(rows, "precision", "cell").value)
    assert len(problems(rows)) == 1


def test_a_prediction_with_an_unknown_class_counts_as_missed(tmp_path: Path) -> None:
    predictions, reference = semantic_set(tmp_path)
    write_classes(predictions / "a_classes.tif", np.full((2, 4), 7, np.uint8))
    rows = evaluate_folders(predictions, reference)
    assert problems(rows) == [
        "a: prediction contains class 7, expected 0…1; check the list of classes and the value of "
        "pixels without annotation; counted as all missed"
    ]
    assert pick(rows, "accuracy").value == 0


def test_class_maps_are_refused_where_objects_are_wanted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="stardist compares objects; use another protocol, such as pixel"):
        evaluate_folders(*semantic_set(tmp_path), protocol="stardist")


def test_an_unknown_protocol_is_refused_with_those_there_are(split: Path, results: Path) -> None:
    with pytest.raises(UsageError, match=r"no protocol 'kaggle'; there are .*pixel, .*stardist"):
        evaluate_folders(results, split, protocol="kaggle")


def test_plain_folders_of_label_images_are_compared_by_name(split: Path, results: Path) -> None:
    plain = results.parent / "plain"
    plain.mkdir()
    for name in OBJECTS:
        (results / f"{name}_labels.tif").rename(plain / f"{name}.tif")
    assert pick(evaluate_folders(plain, split), "AP (StarDist)", "0.5").value == 11 / 12
    assert pick(evaluate_folders(plain, split / "masks"), "AP (StarDist)", "0.5").value == 11 / 12


def test_the_whole_data_set_has_the_images_of_its_splits(split: Path, results: Path) -> None:
    assert pick(evaluate_folders(results, split.parent), "AP (StarDist)", "0.5").n_images == 3


def test_two_files_are_compared_whatever_their_names(split: Path, results: Path) -> None:
    rows = evaluate_folders(results / "three_labels.tif", split / "masks" / "two.tif")
    assert (pick(rows, "AP (StarDist)", "0.5").value, pick(rows, "recall", "0.5").value) == (3 / 5, 3 / 5)


def test_one_file_is_compared_with_the_reference_of_its_name(split: Path, results: Path) -> None:
    assert pick(evaluate_folders(results / "two_labels.tif", split), "AP (StarDist)", "0.5").value == 4 / 5
    assert pick(evaluate_folders(results, split / "masks" / "two.tif"), "AP (StarDist)", "0.5").value == 4 / 5
    (results / "two_labels.tif").rename(results / "nobody_labels.tif")
    with pytest.raises(InputError, match=r"no reference is named like nobody_labels\.tif"):
        evaluate_folders(results / "nobody_labels.tif", split)


def test_a_prediction_without_reference_is_said_and_not_scored(split: Path, results: Path, caplog) -> None:
    write_labels(results / "stray_labels.tif", squares(9))
    assert pick(evaluate_folders(results, split), "AP (StarDist)", "0.5").value == 11 / 12
    assert "1 predictions have no reference and are not scored: stray_labels.tif" in caplog.text


def test_each_plane_of_a_stack_is_an_image(split: Path, results: Path) -> None:
    write_labels(split / "masks" / "one.tif", np.stack([squares(4), squares(2)]), plane_axes="T", plane_shape=(2,))
    write_labels(results / "one_labels.tif", np.stack([squares(4), squares(1)]), plane_axes="T", plane_shape=(2,))
    ap = pick(evaluate_folders(results, split), "AP (StarDist)", "0.5", averaging="mean over images")
    assert ap.n_images == 4
    assert ap.value == pytest.approx((1 + 0.5 + 1 + 0.8) / 4)


def test_bare_foreground_masks_are_taken_for_what_they_show_and_it_is_said(tmp_path: Path, caplog) -> None:
    predictions, reference = tmp_path / "p", tmp_path / "r"
    for folder, count in ((predictions, 3), (reference, 4)):
        folder.mkdir()
        write_labels(folder / "a.tif", (squares(count) > 0).astype(np.uint16) * 255)
    rows = evaluate_folders(predictions, reference)
    assert pick(rows, "IoU", "foreground").value == 3 / 4
    assert "taken for background and foreground" in caplog.text
    rows = evaluate_folders(predictions, reference, protocol="stardist")
    assert pick(rows, "AP (StarDist)", "0.5").n_objects == 4
    assert "separate pieces taken for objects" in caplog.text


def test_bare_label_images_are_taken_for_objects(tmp_path: Path) -> None:
    predictions, reference = tmp_path / "p", tmp_path / "r"
    for folder, counts in ((predictions, (3, 4)), (reference, (4, 5))):
        folder.mkdir()
        for count in counts:
            write_labels(folder / f"{count - counts[0]}.tif", squares(count))
    assert pick(evaluate_folders(predictions, reference), "AP (StarDist)", "0.5").value == 7 / 9


def test_a_broken_mask_does_not_keep_the_others_from_being_understood(tmp_path: Path) -> None:
    for name, count in (("b", 4), ("c", 5)):
        write_labels(tmp_path / f"{name}.tif", squares(count))
    (tmp_path / "a.tif").write_bytes(b"no image")
    rows = evaluate_folders(tmp_path, tmp_path)
    assert pick(rows, "AP (StarDist)", "0.5").value == 1
    assert [row.metric for row in rows if row.problem] == ["unreadable reference"]


@pytest.mark.parametrize("empty", ["results", "split"])
def test_a_path_that_is_not_there_is_wrong_use(split: Path, results: Path, empty: str) -> None:
    paths = [results / "no" if empty == "results" else results, split / "no" if empty == "split" else split]
    assert run(*paths)[0] == 2
    with pytest.raises(InputError, match="does not exist"):
        evaluate_folders(*paths)


def test_a_folder_without_masks_is_refused(results: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no masks"):
        evaluate_folders(results, tmp_path / "empty", protocol="stardist")


@pytest.mark.parametrize(("name", "metric"), [("kromp2020", "PQ"), ("isbi2012", "IoU")])
def test_a_real_reference_agrees_with_itself(data_folder: Path, name: str, metric: str) -> None:
    mask = sorted((data_folder / name / "train" / "masks").iterdir())[0]
    rows = evaluate_folders(mask, mask)
    values = [row.value for row in rows if row.metric == metric]
    assert values == [1] * len(values)
    assert not problems(rows)


def test_the_headline_says_first_how_many_references_have_a_prediction(split: Path, results: Path) -> None:
    (results / "one_labels.tif").unlink()
    (results / "three_labels.tif").unlink()
    _, output = run(results, split)
    assert output.splitlines()[0] == "1 of 3 references has a prediction; 2 count as missed"
    code, output = run(results, split, "--only-predicted")
    assert code == 0
    assert output.splitlines()[0] == "1 of 3 references has a prediction; 2 are left out"
    assert "images with a prediction, object level: 1 image, 5 objects" in output
    scores = score_folders(results, split, only_predicted=True)
    assert pick(scores.rows, "AP (StarDist)", "0.5").value == 4 / 5
    assert all(row.empty_case.endswith("references without prediction left out") for row in scores.rows)


def test_a_prediction_that_cannot_be_used_is_not_left_out(split: Path, results: Path) -> None:
    (results / "one_labels.tif").write_bytes(b"")
    assert pick(score_folders(results, split, only_predicted=True).rows, "AP (StarDist)", "0.5").value == 7 / 12


def test_only_predicted_without_any_prediction_is_refused(split: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="no prediction for any of the 3 references"):
        score_folders(tmp_path / "nothing", split, only_predicted=True)


def test_the_table_has_a_row_per_image_with_what_was_expected_of_it(split: Path, results: Path, tmp_path: Path) -> None:
    write_csv(results / "images.csv", {"image": ["one", "two"], "expected_dice": [0.99, None]})
    target = tmp_path / "images.csv"
    code, output = run(results, split, "--csv", target)
    assert code == 0
    table = read_csv(target)
    assert table["name"] == ["one", "three", "two"]
    assert table["n_objects"] == ["4", "3", "5"]
    assert [float(value) for value in table["AP 0.5"]] == [1, 1, 0.8]
    assert [float(value) for value in table["F1 0.5"]] == pytest.approx([1, 1, 8 / 9])
    assert (table["misses"], table["merges"], table["problem"]) == (["0", "0", "1"], ["0"] * 3, [""] * 3)
    assert [float(value) for value in table["Dice"]] == pytest.approx([1, 1, 8 / 9])
    assert table["expected Dice"] == ["0.99", "", ""]
    assert "lowest AP 0.5: two 0.800 · one 1.000 · three 1.000" in output


def test_a_page_shows_what_was_found_missed_and_made_up(split: Path, results: Path, tmp_path: Path) -> None:
    write_labels(results / "one_labels.tif", np.roll(squares(4), 20, axis=0))
    page = tmp_path / "scores.html"
    assert run(results, split, "--html", page)[0] == 0
    text = page.read_text(encoding="utf-8")
    assert "3 of 3 references have a prediction." in text
    for words, number in (("score", "value"), ("name", "n_objects")):
        assert f'<th scope="col">{words}</th><th scope="col" class="number">{number}</th>' in text
    assert text.index("0 found, 4 missed, 4 false") < text.index("4 found, 1 missed, 0 false")
    assert text.index("4 found, 1 missed, 0 false") < text.index("3 found, 0 missed, 0 false")


def test_classes_have_a_page_too(tmp_path: Path) -> None:
    predictions, reference = semantic_set(tmp_path)
    assert run(predictions, reference, "--html", tmp_path / "page.html")[0] == 0
    assert "<figure>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_membranes_are_scored_on_files_with_the_options_that_name_their_class(tmp_path: Path) -> None:
    predictions, reference = semantic_set(tmp_path)
    truth = np.zeros((40, 60), np.uint16)
    truth[18:21] = 1
    write_labels(reference / "masks" / "a.tif", truth)
    write_classes(predictions / "a_classes.tif", (truth * (np.arange(60) < 26)).astype(np.uint8))
    rows = score_folders(predictions, reference, protocol="membranes", options={"connected": "cell"}).rows
    # Without the right half of the wall the two cells are one, of which 18 of 37 and 19 of 37 rows are right.
    assert pick(rows, "merged cells").value == 1
    assert pick(rows, "recall", "cell").value == 26 / 60
    code, output = run(predictions, reference, "--protocol", "membranes", "--option", "connected=cell")
    assert (code, "merged cells 1" in output) == (0, True)
    with pytest.raises(UsageError, match="unknown field `conected`; known options: connected, rest") as refusal:
        score_folders(predictions, reference, protocol="membranes", options={"conected": "cell"})
    assert "protocol 'membranes'" in str(refusal.value)
    with pytest.raises(InputError, match="no class 'membrane'; the classes are background, cell"):
        score_folders(predictions, reference, protocol="membranes")


def test_difficulty_is_refused_for_files(split: Path, results: Path) -> None:
    with pytest.raises(InputError, match="scores probabilities, which files do not hold"):
        evaluate_folders(results, split, protocol="difficulty")


NEW_PROTOCOL = '''
"""Number of objects, right or wrong."""

from cellproof.metrics.rows import Scope
from cellproof.workflows.evaluate import Column

COLUMNS = (Column("count error", high_is_good=False),)


def count(variant, reference, options):
    said = 0 if variant is None else int(variant.values.max())
    return abs(said - int(reference.mask.max()))


def rows(counts, names, options, *, group="", seed=0):
    scope = Scope(len(counts), None, group, seed)
    return [scope.row("count error", sum(counts), level="object", empty_case="a count")]
'''


def test_a_protocol_in_a_file_of_its_own_is_used_by_its_name(
    split: Path, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "counting.py").write_text(NEW_PROTOCOL)
    monkeypatch.setattr(protocols, "__path__", [*protocols.__path__, str(tmp_path / "more")])
    code, output = run(results, split, "--protocol", "counting")
    assert code == 0
    assert "count error 1" in output
    assert "lowest count error: two 1.000" in output
