"""Which images are noticed as foreign, rightly or not, and by what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from page import table
from trust_cases import Case

from cellproof.difficulty.fit import GOOD_F1, Judged, OutOfSample, area_under_roc, is_accepted
from cellproof.difficulty.foreign import Look, fit_kinds, foreignness
from cellproof.difficulty.quality import ACCEPT_DICE

Judgement = tuple[Case, Judged]


def look_of(case: Case, judged: Judged) -> Look:
    """What a case looks like."""
    copy = case.copy if judged.is_copy else ""
    return Look(judged.statistics, case.kind, deep=judged.deep, group=case.name, copy=copy)


def strangers(strange: Sequence[Judgement], given: OutOfSample) -> list[str]:
    """Foreign images by set: how many would be accepted by each expectation, and how many are."""
    judged = [one for _, one in strange]
    dice = np.nan_to_num(np.array([one.expected_dice for one in judged])) >= ACCEPT_DICE
    sure = is_accepted(judged, replace(given, foreign=np.zeros(len(judged))))
    noticed, accepted = given.foreign > 1, is_accepted(judged, given)
    parts = np.array([case.part for case, _ in strange])
    rows = []
    for part in [*dict.fromkeys(parts.tolist()), "all"]:
        own = (parts == part) | (part == "all")
        rows.append([part, *(int(values[own].sum()) for values in (own, dice, sure, noticed, accepted))])
    headings = ["", "images", "expected Dice suffices", "expected F1, too", "noticed as foreign", "accepted"]
    missed = [f"{case.part} {case.name}" for (case, _), one in zip(strange, noticed, strict=True) if not one]
    taken = [f"{case.part} {case.name}" for (case, _), one in zip(strange, accepted, strict=True) if one]
    note = f"Accepted: {', '.join(taken)}." if taken else "None is accepted."
    return [table(headings, rows), "", f"{note} Not noticed as foreign: {', '.join(missed) or 'none'}."]


def mistaken(known: Mapping[str, tuple[Sequence[Judgement], OutOfSample]]) -> str:
    """Images of known kinds that are taken for foreign."""
    rows = []
    for name, (cases, given) in known.items():
        copies = np.array([one.is_copy for _, one in cases])
        good = np.array([one.f1 for _, one in cases]) > GOOD_F1
        for what, own in (("as is", ~copies), ("copies", copies)):
            noticed = own & (given.foreign > 1)
            rows.append([f"{name}, {what}", int(own.sum()), int(noticed.sum()), int((noticed & good).sum())])
    return table(["known kinds", "images", "taken for foreign", f"of these F1 > {GOOD_F1}"], rows)


def compared(
    looks: Sequence[Look],
    strange: Sequence[Judgement],
    known: Mapping[str, tuple[Sequence[Judgement], OutOfSample]],
) -> list[str]:
    """The same by deep features and by simple statistics alone."""
    none = {"nothing": 0.0}
    ways = {
        "deep features and contrasts (this)": lambda look: look,
        "deep features alone": lambda look: replace(look, statistics=none),
        "all simple statistics alone": lambda look: replace(look, deep=None),
        "as this, copies not told apart": lambda look: replace(look, copy=look.copy and "degraded"),
        "as this, kinds without degraded copies": lambda look: look,
    }
    cases = [*strange, *(case for one, _ in known.values() for case in one)]
    foreign = np.arange(len(cases)) < len(strange)
    copies = np.array([one.is_copy for _, one in cases])
    rows = []
    for name, way in ways.items():
        taught = [way(look) for look in looks if not ("without" in name and look.copy)]
        familiar = fit_kinds(taught)
        seen = [way(look_of(*case)) for case in cases]
        ratio = np.array(
            [
                foreignness(one.statistics, familiar.kinds, projection=familiar.projection, deep=one.deep).ratio
                for one in seen
            ]
        )
        as_is = foreign | ~copies
        rows.append(
            [
                name,
                area_under_roc(ratio[as_is], foreign[as_is]),
                area_under_roc(ratio, foreign),
                f"{int((ratio[foreign] > 1).sum())} of {int(foreign.sum())}",
                f"{int((ratio[~foreign & ~copies] > 1).sum())} of {int((~foreign & ~copies).sum())}",
                f"{int((ratio[~foreign & copies] > 1).sum())} of {int((~foreign & copies).sum())}",
            ]
        )
    headings = ["told by", "AUROC, known as is", "AUROC, known and copies", "foreign noticed"]
    return [table([*headings, "known taken for foreign", "copies taken for foreign"], rows)]
