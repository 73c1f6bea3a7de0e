"""What is measured: a module each, which runs alone (`python -m perf.measurements.NAME`)."""
