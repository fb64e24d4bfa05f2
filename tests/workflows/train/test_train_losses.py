"""The table of the losses of every step."""

from __future__ import annotations

from cellproof.workflows.train.losses import LOSSES_CSV, read_losses, write_losses


def test_losses_are_read_as_they_were_written_up_to_the_step_of_the_checkpoint(tmp_path):
    write_losses(tmp_path, {1: [(1, 5.0)], 0: [(1, 0.75), (2, 0.5), (3, 0.1)]})
    assert (tmp_path / LOSSES_CSV).read_text().splitlines()[:2] == ["fold,step,loss", "1,1,0.75"]
    assert read_losses(tmp_path, fold=0, up_to_step=2) == [(1, 0.75), (2, 0.5)]
    assert read_losses(tmp_path, fold=1, up_to_step=9) == [(1, 5.0)]


def test_a_table_that_is_missing_or_broken_stops_no_training(tmp_path):
    assert read_losses(tmp_path, fold=0, up_to_step=9) == []
    (tmp_path / LOSSES_CSV).write_text("fold,step\n1,2\n")
    assert read_losses(tmp_path, fold=0, up_to_step=9) == []
    (tmp_path / LOSSES_CSV).write_text("fold,step,loss\n1,two,3\n")
    assert read_losses(tmp_path, fold=0, up_to_step=9) == []
