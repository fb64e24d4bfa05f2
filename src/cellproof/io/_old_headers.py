"""Headers of model files of format 1, in which outputs were three flags."""

from __future__ import annotations

from typing import Any

_HEADS: dict[str, dict[str, Any]] = {
    "boundary": {"name": "boundary", "channels": 1, "activation": "sigmoid", "geometry": "scalar"},
    "distance": {"name": "distance", "channels": 1, "activation": "clip", "geometry": "scalar"},
    "flows": {"name": "flows", "channels": 2, "activation": "none", "geometry": "vector"},
}
"""In the order of their channels. What these files hold does not change when ``data/targets`` does."""


def header_of_format_1(values: Any) -> Any:
    """The same header as format 2 holds it; anything unexpected stays, and is refused by name.

    Args:
        values: Decoded JSON.

    Examples:
        >>> header_of_format_1({"heads": {"classes": 2, "flows": True, "boundary": False}})["heads"]["fields"]
        [{'name': 'flows', 'channels': 2, 'activation': 'none', 'geometry': 'vector'}]
    """
    heads = values.get("heads") if isinstance(values, dict) else None
    if not isinstance(heads, dict) or any(heads.get(name) not in (None, True, False) for name in _HEADS):
        return values
    rest = {key: value for key, value in heads.items() if key not in _HEADS}
    return values | {"heads": rest | {"fields": [head for name, head in _HEADS.items() if heads.get(name)]}}
