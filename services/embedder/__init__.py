"""Texts into vectors, and what people ask."""
