"""All measurements in one run, written down."""
