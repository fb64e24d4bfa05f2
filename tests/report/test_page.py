from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from cellproof.report.page import (
    Example,
    FailedInput,
    ImageRow,
    Provenance,
    SegmentReport,
    TrainReport,
    inline_first,
    segment_report,
    train_report,
)
from cellproof.report.pictures import Figure, Picture, inline_picture
from cellproof.types import Quality

VOID = {"meta", "img", "br", "input", "link", "hr"}
PICTURE = inline_picture(np.zeros((6, 8, 3), np.uint8))
MADE = Provenance("nuclei", "abc123", "torch f32 on CPU", "the only one here", "0.1.0", "2025-01-01", (("tta", "no"),))


class _Page(HTMLParser):
    """Balanced elements, attributes and text of a page."""

    def __init__(self, html):
        super().__init__()
        self.open, self.attributes, self.text = [], [], []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)

    def values(self, tag, name):
        return [value for element, key, value in self.attributes if (element, key) == (tag, name)]


def _row(name, verdict="accept", expected_dice=0.9, **changes):
    quality = Quality(3, 0.95, expected_dice, verdict, f"because {verdict}")
    return ImageRow(name, (6, 8), quality, overlay=PICTURE, difficulty=PICTURE, **changes)


def _report(*rows, **changes):
    return SegmentReport(title="Cells & <co>", images=rows, provenance=MADE, **changes)


def _named(html):
    """File names of the table, from above."""
    return re.findall(r'<td class="wide name" data-key="name" data-value="([^"]*\.png)">', html)


def test_names_and_reasons_from_files_are_escaped():
    evil = "<b>x</b>.png"
    html = segment_report(_report(_row(evil, notes=("<i>",)), failures=[FailedInput('"><script>1', "<u>cut</u>")]))
    assert "<b>x" not in html
    assert "<u>" not in html
    assert "<script>1" not in html
    text = _Page(html).text
    assert {evil, "<i>", '"><script>1', "<u>cut</u>", "Cells & <co>"} <= set(text)


def test_a_long_name_may_break_behind_its_own_separators_only():
    html = segment_report(_report(_row("plate-1_well<A_-2>.png")))
    assert '<span class="title">plate-<wbr>1_<wbr>well&lt;A_-<wbr>2&gt;.png</span>' in html
    assert _named(html) == ["plate-1_well&lt;A_-2&gt;.png"]


def test_every_picture_is_inside_the_page_and_nothing_is_loaded_from_outside():
    html = segment_report(
        _report(_row("a.png", link="a_overlay.png"), areas=np.arange(5.0), confidences=np.linspace(0, 1, 5))
    )
    page = _Page(html)
    assert [source[:23] for source in page.values("img", "src")] == ["data:image/jpeg;base64,"] * 2
    assert not re.search(r"(https?:)?//\w", re.sub(r"(data:image/jpeg;base64,|sha256-)[^\"']*", "", html))
    assert not {"link", "iframe", "object"} & {element for element, _, _ in page.attributes}
    assert any("default-src 'none'" in value for value in page.values("meta", "content"))


def test_difficult_pixels_have_a_column_where_there_is_a_picture_of_them():
    page = _Page(segment_report(_report(_row("old.png"), _row("new.png", difficult=PICTURE))))
    assert [words for words in page.values("img", "alt") if words.startswith("Difficult ")] == [
        "Difficult pixels of new.png"
    ]
    assert "Difficult pixels" in page.text
    assert "Difficult pixels" not in _Page(segment_report(_report(_row("old.png")))).text


def test_links_lead_to_files_beside_the_page_whatever_their_name():
    name = "javascript:x #1?_overlay.png"
    page = _Page(segment_report(_report(_row("a", link=name, views=(("Overlay", name), ("Image", "r/'<a.jpg"))))))
    assert page.values("a", "href") == ["javascript%3Ax%20%231%3F_overlay.png"] * 2
    (views,) = page.values("tr", "data-views")
    assert json.loads(views) == [["Overlay", "javascript%3Ax%20%231%3F_overlay.png"], ["Image", "r/%27%3Ca.jpg"]]


def test_only_the_script_of_the_page_may_run():
    html = segment_report(_report(_row("a.png")))
    (policy,) = (value for value in _Page(html).values("meta", "content") if "default-src" in value)
    script = html[html.index("<script>") + len("<script>") : html.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy.split("script-src")[1]
    assert "script-src" not in train_report(TrainReport(title="Training", running=False, status=""))


def test_thumbnails_in_files_are_read_when_they_come_into_view():
    beside = Picture("report_files/a #1.jpg", height=6, width=8)
    page = _Page(segment_report(_report(ImageRow("a", (6, 8), Quality(3, 0.9, 0.9, "accept", ""), overlay=beside))))
    assert page.values("img", "src") == ["report_files/a%20%231.jpg"]
    assert page.values("img", "loading") == ["lazy"]


def test_the_most_doubtful_thumbnails_move_into_the_page_until_it_is_full(tmp_path, monkeypatch):
    (tmp_path / "small.jpg").write_bytes(b"j" * 300)
    beside = Picture("small.jpg", height=6, width=8)
    rows = [
        ImageRow(name, (6, 8), Quality(1, 0.9, dice, "accept", ""), overlay=beside)
        for name, dice in (("sure", 0.9), ("worst", 0.1), ("bad", 0.2))
    ]
    inside = len("data:image/jpeg;base64,") + 400
    monkeypatch.setattr("cellproof.report.page.INLINE_BYTES", 2 * inside)
    first = inline_first(rows, tmp_path)
    assert [(row.name, row.overlay.is_inline) for row in first] == [("worst", True), ("bad", True), ("sure", False)]
    assert base64.b64decode(first[0].overlay.source.split(",")[1]) == b"j" * 300
    (tmp_path / "small.jpg").unlink()
    assert not any(row.overlay.is_inline for row in inline_first(rows, tmp_path))


def test_a_thousand_images_stay_below_five_megabytes(tmp_path):
    name = "a_rather_long_name_of_an_image_as_microscopes_give_them"
    (tmp_path / "report_files").mkdir()
    kinds = ("overlay_small", "difficulty_small", "difficult_small")
    rows = []
    for number in range(1000):
        pictures = [Picture(f"report_files/{name}{number}_{kind}.jpg", height=400, width=400) for kind in kinds]
        for picture in pictures:
            (tmp_path / picture.source).write_bytes(b"0" * 30_000)
        quality = Quality(100, 0.9, number / 1000, "review", "41 of 100 objects have a confidence below 0.75")
        views = tuple((kind, f"report_files/{name}{number}_{kind}.jpg") for kind in ("Image", "Overlay", "Difficulty"))
        rows.append(
            ImageRow(f"{name}{number}", (1000, 1000), quality, *pictures, link=f"{name}_overlay.png", views=views)
        )
    html = segment_report(_report(*inline_first(rows, tmp_path)))
    assert 2e6 < len(html) < 5e6


def test_the_most_doubtful_image_comes_first():
    rows = [
        _row("sure.png"),
        _row("empty.png", expected_dice=float("nan")),
        _row("less.png", "review", 0.7),
        _row("worse.png", "review", 0.6),
        _row("bad.png", "reject", 0.8),
    ]
    assert _named(segment_report(_report(*rows))) == ["bad.png", "worse.png", "less.png", "sure.png", "empty.png"]


def test_the_summary_counts_images_objects_verdicts_and_speed():
    rows = [_row("a.png"), _row("b.png", "review"), _row("c.png", "review")]
    html = segment_report(_report(*rows, seconds=4.0, megapixels=6.0))
    tiles = re.findall(r'<div class="tile"><b>([^<]*)</b><span[^>]*>([^<]*)', html)
    assert tiles == [
        ("3", "images"),
        ("9", "objects"),
        ("0", "✗ reject"),
        ("2", "? review"),
        ("1", "✓ accept"),
        ("1.50", "megapixels a second, this run"),
        ("4.0 s", "this run"),
    ]


def test_scores_engine_and_parameters_are_told():
    text = _Page(segment_report(_report(_row("a.png"), scores=[("AP@0.5", "0.97")]))).text
    assert {"AP@0.5", "0.97", "abc123", "torch f32 on CPU", "the only one here", "tta", "no"} <= set(text)


def test_semantic_results_speak_of_pieces_name_their_classes_and_say_how_much_area_each_has():
    classes = [("cell", "#000000"), ("membrane", "#ff4040")]
    html = segment_report(_report(_row("a.png", fractions=(0.755, 0.245)), classes=classes))
    assert "<span>pieces</span>" in html
    assert 'style="background: #ff4040"></span>membrane' in html
    assert "cell 75.5 %" in html
    assert "membrane 24.5 %" in html
    assert "Outlines" not in html
    assert "doubtful objects" not in html
    assert "Confidence<br>in objects" not in html


def test_a_run_without_any_image_still_makes_a_page():
    html = segment_report(_report(failures=[FailedInput("a.tif", "is empty")]))
    assert "No image was segmented." in html
    assert "1 input failed" in html
    assert _Page(html).text


def test_the_same_report_gives_the_same_page():
    report = _report(_row("a.png"), areas=np.arange(9.0), confidences=np.linspace(0, 1, 9))
    assert segment_report(report) == segment_report(report)


def _training(**changes):
    example = Example("<i>1</i>", PICTURE, PICTURE, PICTURE, PICTURE, "AP 0.8")
    report = TrainReport(
        title="Training on cells",
        running=True,
        status="Step 20 of 40.",
        plan=("Objects, because the masks hold <ids>.",),
        history={"step": [10, 20], "loss": [1.0, 0.5], "dice": [0.4, 0.8]},
        best_step=20,
        metrics=(("Dice", "0.80"),),
        examples=(example,),
        parameters=(("batch", "4"),),
    )
    return replace(report, **changes)


def test_the_page_of_a_training_draws_reliability_and_risk_of_what_it_has():
    html = train_report(
        _training(reliability={"pixels": ((0.6, 0.9), (0.5, 0.95))}, risk={"by confidence": ((0.5, 1.0), (0.1, 0.2))})
    )
    drawn = _Page(html).values("svg", "aria-label")
    assert drawn[2:] == [
        "True on average against Said: pixels, as it should be",
        "Mean error against Fraction of the surest that is kept: by confidence",
    ]
    assert "Can its certainty be believed?" in html
    assert "Can its certainty be believed?" not in train_report(_training())


def test_the_page_of_a_training_tells_plan_curves_metrics_and_examples():
    html = train_report(_training())
    page = _Page(html)
    assert {"Objects, because the masks hold <ids>.", "Dice", "0.80", "<i>1</i>", "Step 20 of 40."} <= {
        text.strip() for text in page.text
    }
    assert len(page.values("img", "src")) == 4
    assert html.count("<svg") == 2
    assert not re.search(r"(https?:)?//\w", re.sub(r"(data:image/jpeg;base64,|sha256-)[^\"']*", "", html))


def test_further_pictures_of_an_example_have_their_captions_and_heat_maps_a_scale():
    (example,) = _training().examples
    further = (Figure("Difficult pixels", PICTURE), Figure("Entropy", PICTURE, 1.0), Figure("Turns", PICTURE, 0.05))
    page = _Page(train_report(_training(examples=(replace(example, further=further),))))
    assert page.values("img", "alt")[4:] == ["Difficult pixels of <i>1</i>", "Entropy of <i>1</i>", "Turns of <i>1</i>"]
    captions = "".join(page.text)
    assert re.search(r"Entropy: *0\s*1\s", captions)
    assert re.search(r"Turns: *0\s*0.05 or more\s", captions)
    assert page.values("span", "class").count("scale") == 3  # one of them in the legend


@pytest.mark.parametrize("running", [True, False])
def test_the_page_loads_itself_anew_only_while_the_training_runs(running):
    assert ("refresh" in _Page(train_report(_training(running=running))).values("meta", "http-equiv")) == running


def test_a_training_that_has_just_begun_has_a_page_too():
    html = train_report(TrainReport(title="Training", running=True, status="Planning."))
    assert "No step was taken yet." in html
    assert "<svg" not in html
