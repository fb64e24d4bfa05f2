"""What the pages of studies share: the options of a study, and the request that they make."""

from __future__ import annotations

import argparse
from pathlib import Path

from cellproof.workflows.reproduce import ReproduceRequest


def study_parser(description: str | None, recipe: str) -> argparse.ArgumentParser:
    """Options of every page that carries out a study.

    Args:
        description: Of the script.
        recipe: Name of the study.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds the sets")
    parser.add_argument("--profile", default="laptop", help="of the recipe (default: laptop)")
    parser.add_argument("--folds", type=int, help="of each set (default: the profile's)")
    parser.add_argument("--set", nargs="+", help="only these sets")
    parser.add_argument("--entry", nargs="+", help="only these rows of the tables")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    work = Path(f"results/benchmarks/{recipe}")
    parser.add_argument("--work", type=Path, default=work, help="where results are kept")
    return parser


def study_request(arguments: argparse.Namespace, recipe: str) -> ReproduceRequest:
    """What the options ask of a study."""
    return ReproduceRequest(
        recipe=recipe,
        data=arguments.data,
        out=arguments.work,
        profile=arguments.profile,
        folds=arguments.folds,
        sets=tuple(arguments.set or ()),
        entries=tuple(arguments.entry or ()),
        seed=arguments.seed,
    )
