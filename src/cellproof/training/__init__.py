"""One readable loop, its schedule, its stopping rule and its checkpoint."""
