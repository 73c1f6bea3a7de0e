"""What measures, and what it is measured on."""
