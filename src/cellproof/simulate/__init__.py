"""Seeded pictures with exact truth, one kind of specimen a file."""
