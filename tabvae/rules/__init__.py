"""Rules between columns: what they say, and how they are found."""
