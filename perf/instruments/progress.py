"""What a long measurement says while it lasts."""

import time


class Progress:
    """A line for each thing done, with the minutes since the start."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    def __call__(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        print(f"{minutes:2}:{seconds:02}  {text}", flush=True)
