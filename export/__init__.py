"""From the student's checkpoint to the files that Triton serves, each proven equal to it."""
