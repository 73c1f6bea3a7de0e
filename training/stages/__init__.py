"""A training run: its recipe, and each stage from the teachers to the shipped student."""
