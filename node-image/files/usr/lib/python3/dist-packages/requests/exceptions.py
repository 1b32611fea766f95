"""Exception classes, made when they are asked for."""


class RequestException(OSError):
    """A node has no HTTP client: its datasource is a disk."""


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    made = type(name, (RequestException,), {})
    globals()[name] = made
    return made
