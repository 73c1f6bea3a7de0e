"""Photos and fixations: sets, their converters, and the tensors that networks learn from."""
