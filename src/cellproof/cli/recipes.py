"""`cellproof recipes`: the recipes for training that come with the package."""

from __future__ import annotations

from itertools import takewhile
from typing import Annotated

import typer


def recipes_command(
    recipe: Annotated[
        str, typer.Argument(metavar="[NAME|FILE]", help="Show this recipe's TOML; without it, list the shipped ones.")
    ] = "",
) -> None:
    """List the recipes that come with CellProof, or show one, to copy and change."""
    from ..recipe import parse_recipe, recipe_names, recipe_text

    if recipe:
        text = recipe_text(recipe)
        parse_recipe(text, source=recipe)
        typer.echo(text, nl=False)
        return
    for name in recipe_names():
        text = recipe_text(name)
        typer.echo(f"{name}: {parse_recipe(text, source=name).description}")
        for line in takewhile(lambda line: line.startswith("#"), text.splitlines()):
            typer.echo(f"  {line.removeprefix('#').strip()}")
