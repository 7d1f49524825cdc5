"""Train populations of neural networks and study the function space their minima live in."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("chromatic-descent")
except PackageNotFoundError:  # used from a source tree that was never installed
    __version__ = "0+unknown"
