"""How fast gazecrop answers."""
