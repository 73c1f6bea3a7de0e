"""Comparisons that chose how the student sees and how it is pruned, and their plots."""
