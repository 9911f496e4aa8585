"""Training: what a network is shown, a step, the loop, and several networks at a time."""
