import numpy as np

from chromatic_descent.files.hashing import content_hash


def test_content_hash_separates_parts_types_and_shapes():
    a = np.arange(4)
    hashes = {
        content_hash(*parts)
        for parts in [("ab", "c"), ("a", "bc"), (a,), (a.astype(np.int32),), (a.reshape(2, 2),)]
    }
    assert len(hashes) == 5
