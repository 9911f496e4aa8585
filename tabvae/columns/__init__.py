"""Columns of a table: what their cells say, what kind each is, and its codes."""
