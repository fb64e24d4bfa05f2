"""How far probabilities, pixels, objects and images can be trusted."""
