"""Paths, one noun a file. A route reads as: ask the use case, shape the answer."""
