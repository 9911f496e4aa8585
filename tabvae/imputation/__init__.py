"""Gaps filled: trees over the guesses of the networks, and draws that follow both."""
