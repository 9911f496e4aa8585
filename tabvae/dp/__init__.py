"""Fits under differential privacy: the budget, noise, columns and networks that keep to it."""
