"""Ways to tell nuclei apart: the heads of ``cellproof reproduce beker2020`` after the same few steps, and StarDist.

Every number comes from ``reproduce``, whose results are kept in ``--work``, and from ``rival.py``, whose results are
read from ``--rival``; losses and encoders are on the page of `beker2020.py`. About half an hour on one core.

    python benchmarks/rival.py DATA --peer ENVIRONMENTS/stardist/bin/python --minutes 14 --longer 60
    python benchmarks/beker2020_heads.py DATA
"""

from __future__ import annotations

import argparse
from pathlib import Path

from beker2020 import RECIPE, mistakes, opening, scores, sizes
from page import write_page
from rival_table import rival_section
from study import study_parser, study_request

from cellproof.recipe.toml import read_recipe
from cellproof.workflows.reproduce import reproduce
from cellproof.workflows.train import Watcher

HEADS = ("boundary", "flows", "star-convex")


def main() -> None:
    """Carry out what is missing, write the page of everything that is there."""
    arguments = _arguments()
    arguments.entry = arguments.entry or list(HEADS)
    results = reproduce(
        study_request(arguments, RECIPE),
        Watcher(say=lambda sentence: print(sentence, flush=True)),
    )
    study = read_recipe(RECIPE).study
    assert study is not None
    body = [opening(study, arguments.profile, 0)]
    for name in dict.fromkeys(cell.set for cell in results.cells):
        cells = [cell for cell in results.cells if cell.set == name]
        lines = [line for line in results.lines if line.set == name]
        body += ["", f"## {name}", "", sizes(cells), "", scores(lines), "", mistakes(cells)]
    if arguments.rival.is_file():
        body += ["", "## Beside StarDist", "", rival_section(arguments.rival)]
    write_page("beker2020_heads", "Nuclei: ways to tell them apart", "\n".join(body), seed=arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = study_parser(__doc__, RECIPE)
    parser.add_argument("--rival", type=Path, default=Path("results/benchmarks/rival/rival.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
