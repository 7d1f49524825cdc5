import pytest
import torch

from chromatic_descent.data.streams import Stream, stream

# The seeds of their generators, which decide every member: never to be changed.
FIRST = {
    "INITIALISATION": 8888358135457373573,
    "EPOCH": 1568537011421331828,
    "FLIPS": 4079869967017888315,
    "CHOICE": 1385803065938063777,
    "NETWORK": 6213503967622248455,
    "POINTS": 3499993148363880700,
    "POOL": 4049018029232927429,
    "REFERENCES": 1505070290782818738,
    "CORRUPTION": 2782461343998696411,
    "FOREIGN_NOISE": 5957742481348082752,
}


def key(which):
    return [7, *range(1, len(which.value[1]))]


@pytest.mark.parametrize("which", Stream)
def test_a_stream_is_that_of_every_release(which):
    assert stream(which, *key(which)).initial_seed() == FIRST[which.name]


def test_streams_of_different_keys_differ():
    seeds = [0, 1, 2**40]
    made = [stream(which, seed, *key(which)[1:]) for which in Stream for seed in seeds]
    made += [stream(Stream.EPOCH, 0, 0), stream(Stream.POINTS, 0, 1, 0)]
    assert len({generator.initial_seed() for generator in made}) == len(made)


def test_a_stream_is_a_function_of_its_key_alone():
    first = torch.rand(3, generator=stream(Stream.EPOCH, 3, 2))
    torch.manual_seed(99)
    torch.rand(5)
    assert torch.equal(first, torch.rand(3, generator=stream(Stream.EPOCH, 3, 2)))


def test_a_key_is_whole():
    with pytest.raises(AssertionError, match="EPOCH is a function of seed, epoch"):
        stream(Stream.EPOCH, 0)
