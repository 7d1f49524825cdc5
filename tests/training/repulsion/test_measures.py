import numpy as np
import pytest
import torch

import chromatic_descent.geometry as geometry
from chromatic_descent.ensemble import fit_temperature
from chromatic_descent.training.repulsion.measures import fitted_temperature, mean_distances


def drawn(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_the_temperature_is_that_of_the_analysis(scale):
    logits = drawn(200, 5)
    labels = (logits + drawn(200, 5).flip(0)).argmax(1)  # right often, not always
    expected = np.squeeze(fit_temperature(scale * logits.numpy()[None], labels.numpy()))
    assert fitted_temperature(scale * logits, labels).item() == pytest.approx(expected, rel=1e-3)


def test_where_every_answer_is_right_it_stays_finite():
    logits = 3 * torch.eye(4)
    temperature = fitted_temperature(logits, torch.arange(4))
    assert 0 < temperature < 0.3


def test_distances_are_those_of_the_analysis():
    logits = drawn(4, 30, 6)
    centred = logits - logits.mean(-1, keepdim=True)
    distances = mean_distances(centred[0], centred[1:])
    for name, key in [("logits", "logit_mse_centred"), ("hellinger", "hellinger")]:
        squared = geometry.distance_matrix(logits.double().numpy(), key)[0, 1:]
        assert distances[name].item() == pytest.approx(np.sqrt(squared).mean(), rel=1e-4)
