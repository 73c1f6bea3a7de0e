"""Files that are either whole or as they were."""

from pathlib import Path


def write_whole(file: Path, data: bytes) -> None:
    """Write beside, then rename: an interrupt never leaves half a file. Makes the folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".partial")
    partial.write_bytes(data)
    partial.replace(file)
