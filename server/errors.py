class ServerError(Exception):
    """The server cannot start, or has stopped; the message says what to do."""
