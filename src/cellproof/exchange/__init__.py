"""Foreign formats: bytes ⇄ arrays."""
