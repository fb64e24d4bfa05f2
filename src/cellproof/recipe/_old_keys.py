"""Recipes of earlier versions: flags for heads and fixed weights of losses become parts by name."""

from __future__ import annotations

from typing import Any

from ..types import with_current_keys

_OLD_HEADS = ("boundary", "distance", "flows")

_OLD_TERMS: dict[str, tuple[str, str, float]] = {
    "cross_entropy": ("cross_entropy", "classes", 1.0),
    "dice": ("dice", "classes", 1.0),
    "boundary": ("binary_cross_entropy", "boundary", 1.0),
    "boundary_dice": ("dice", "boundary", 0.5),
    "distance": ("smooth_l1", "distance", 2.0),
    "flow": ("flow", "flows", 5.0),
}
"""Old key → term, output and default weight."""


def current_recipe(values: Any) -> Any:
    """The values of a recipe's TOML with the keys of today.

    ``[heads]`` with flags becomes a list of names. A weight in ``[loss]`` sets the weight of its term; other terms of
    the same output keep their defaults, and weights of outputs that the recipe lacks are left out.

    Args:
        values: What a TOML reader returns.

    Examples:
        >>> current_recipe({"heads": {"boundary": True, "flows": False}, "loss": {"dice": 0.5}})["heads"]
        [{'name': 'boundary'}]
    """
    values = with_current_keys(values)
    if not isinstance(values, dict):
        return values
    heads = values.get("heads")
    if isinstance(heads, dict) and all(type(head) in (bool, dict) for head in heads.values()):
        # The old outputs always stood in this order.
        order = sorted(heads, key=lambda name: _OLD_HEADS.index(name) if name in _OLD_HEADS else len(_OLD_HEADS))
        named = [{"name": name} if heads[name] is True else heads[name] for name in order if heads[name]]
        values = values | {"heads": named}
    loss = values.get("loss")
    if isinstance(loss, dict) and set(loss) & set(_OLD_TERMS):
        values = values | {"loss": _current_loss(loss, _outputs(values.get("heads", [])))}
    return values


def _outputs(heads: Any) -> set[str]:
    named = [head.get("name") for head in heads if isinstance(head, dict)] if isinstance(heads, list | tuple) else []
    return {"classes", *map(str, named)}


def _current_loss(loss: dict[str, Any], outputs: set[str]) -> dict[str, Any]:
    """The section with a term for each old weight that it holds, and for the others of the same output."""
    terms = [dict(term) for term in loss.get("terms", ())]
    listed = {term.get("on", "classes") for term in terms}
    touched = {_OLD_TERMS[key][1] for key in loss if key in _OLD_TERMS} & outputs
    for key, (name, output, default) in _OLD_TERMS.items():
        if output not in touched:
            continue
        same = [term for term in terms if (term.get("name"), term.get("on", "classes")) == (name, output)]
        if same and key in loss:
            same[0]["weight"] = loss[key]
        elif not same and (key in loss or output not in listed):
            terms.append({"name": name, "weight": loss.get(key, default), "on": output})
    rest = {key: value for key, value in loss.items() if key not in _OLD_TERMS}
    return rest | {"terms": terms}
