"""A small notes service: the application that asgi.deploy's tests and demo deploy."""

__version__ = "1.0.0"
