"""Half an hour near the server's limit, with hostile files, while its processes are killed."""
