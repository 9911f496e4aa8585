"""One page about a table and what a model knows of it."""
