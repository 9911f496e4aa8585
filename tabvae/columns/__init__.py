"""Columns of a table: what kind each is, its bins, and the codes of its cells."""
