"""Hashes of content: what identifies a config, a probe, a data set or a cached result."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def content_hash(*parts: bytes | str | NDArray[Any]) -> str:
    """SHA-256 of texts, bytes and arrays (with their types and shapes), in order."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\0")
    return digest.hexdigest()
