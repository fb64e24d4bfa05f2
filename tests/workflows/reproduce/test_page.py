from __future__ import annotations

from cellproof.io import write_csv
from cellproof.workflows.reproduce.page import HISTORY_FILE, curves_of


def test_curves_are_drawn_again_when_a_training_went_on_and_are_empty_without_one(tmp_path):
    assert curves_of(tmp_path) == ""
    drawn = []
    for scores in ([0.1, 0.4], [0.1, 0.4], [0.1, 0.4, 0.3]):
        steps = [10 * (k + 1) for k in range(len(scores))]
        write_csv(tmp_path / HISTORY_FILE, {"step": steps, "loss": [1.0] * len(scores), "score": scores})
        drawn.append(curves_of(tmp_path))
    assert drawn[0] == drawn[1] != drawn[2]
    assert "best-" in drawn[0]
