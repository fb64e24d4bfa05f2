"""The page of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...recipe import PaperConfig, PaperProfile
from ...report.difficulty_pictures import Captioned, difficulty_row, inline_figures
from ...report.overlay import class_overlay
from ...report.study_page import StudyPictures, StudyReport, study_report
from .membranes import Predicted
from .tables import Scored, tables

PICTURE_PX = 300


def pictures(title: str, picture: Predicted, maps: Mapping[str, np.ndarray], colors: Sequence[str]) -> StudyPictures:
    """A picture, its reference, its class map before and after each repair, and its difficulty."""

    def drawn(classes: np.ndarray) -> np.ndarray:
        return class_overlay(picture.image, classes, colors=colors, max_px=PICTURE_PX)

    row = difficulty_row(
        picture.image,
        prediction=drawn(maps["none"]),
        difficult=picture.difficulty.difficult,
        measures=picture.difficulty.named(),
        reference=drawn(picture.reference),
        max_px=PICTURE_PX,
    )
    repaired = tuple(Captioned(f"After {name}", drawn(map_)) for name, map_ in maps.items() if name != "none")
    return StudyPictures(title, inline_figures((*row[:3], *repaired, *row[3:]), max_px=PICTURE_PX))


def page(
    name: str,
    paper: PaperConfig,
    profile: PaperProfile,
    *,
    scored: Sequence[Scored],
    shown: Sequence[StudyPictures],
    parameters: Sequence[tuple[str, str]],
) -> str:
    """The report as HTML."""
    thresholds = ", ".join(f"{one.study} {one.network} fold {one.fold}: {one.threshold:g}" for one in scored)
    return study_report(
        StudyReport(
            title=f"{name}, reproduced",
            status=f"{paper.reference}. Size: {profile.note}.",
            notes=[
                "none: the network's own class map. reassign: the paper's, difficult pixels become membrane, nucleus "
                "or rest. reconnect: gaps are closed along minimal paths, and dead ends removed.",
                "Gaps: stretches of reference membrane that the network lacks, also beside it. Cells: what membranes "
                "enclose. Betti errors, merged and split cells are sums over the pictures of a fold.",
                f"Thresholds of reconnect, chosen on validation pictures: {thresholds}.",
            ],
            tables=tables(scored, profile.note),
            pictures=shown,
            parameters=parameters,
        )
    )
