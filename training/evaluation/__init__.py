"""How well predictions and crops agree with where people look."""
