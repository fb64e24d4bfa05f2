"""Network and image → dense maps: tiles, engines, views, activation."""
