"""Writes the generated parts of the documentation: `make docs`."""
