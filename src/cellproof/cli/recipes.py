"""`cellproof recipes`: the recipes for training that come with the package."""

from __future__ import annotations

from itertools import takewhile
from typing import Annotated

import typer

from ..checks import InputError


def recipes_command(
    recipe: Annotated[
        str, typer.Argument(metavar="[NAME|FILE]", help="Show this recipe's TOML; without it, list the shipped ones.")
    ] = "",
) -> None:
    """List the recipes that come with CellProof, or show one, to copy and change."""
    from ..recipe import parse_recipe, recipe_names, recipe_text

    if recipe:
        try:
            text = recipe_text(recipe)
        except InputError as error:
            raise type(error)(str(error)) from error  # without the advice to use --recipe, which is of other commands
        parse_recipe(text, source=recipe)
        typer.echo(text, nl=False)
        return
    for name in recipe_names():
        text = recipe_text(name)
        typer.echo(f"{name}: {parse_recipe(text, source=name).description}")
        for line in takewhile(lambda line: line.startswith("#"), text.splitlines()):
            typer.echo(f"  {line.removeprefix('#').strip()}")
