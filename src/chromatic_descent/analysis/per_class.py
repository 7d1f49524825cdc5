"""Which classes members get right, and which they confuse."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chromatic_descent.analysis.results import Array, NotComputed, attempt
from chromatic_descent.errors import UserError
from chromatic_descent.geometry.drivers.member_drivers import confusion_matrices, confusion_modes_of
from chromatic_descent.probe_logits import Population

_MODES = 2  # of confusion, as many as there are drivers of them
_MOST_CLASSES = 100  # in a confusion matrix that can be read


@dataclass(frozen=True, eq=False)
class Confusion:
    """How members confuse C classes; rows of a confusion matrix are true classes."""

    mean: Array  # [C, C], over members
    modes: Array  # [k, C, C], principal components of the members' matrices
    scores: Array  # [S, k], the members' coordinates on them
    shares: list[float]  # of the variance between members, by mode


@dataclass(frozen=True, eq=False)
class PerClass:
    """Results by class."""

    class_accuracy: Array  # [S, C], NaN for a class without images
    confusion: Confusion | NotComputed


def score_classes(population: Population) -> PerClass:
    """Score members class by class."""
    labels, classes = population.labels, population.logits.shape[-1]
    predicted = predicted_classes(population)
    images = np.bincount(labels, minlength=classes)
    right = [np.bincount(labels[row == labels], minlength=classes) for row in predicted]
    accuracy = np.full((len(right), classes), np.nan)
    np.divide(right, images, out=accuracy, where=images > 0)
    return PerClass(accuracy, attempt(_confusion, predicted, labels, classes))


def predicted_classes(population: Population) -> NDArray[np.int64]:
    """The class that each member predicts for each image [S, N]."""
    return np.stack([logits.argmax(axis=-1) for logits in population.logits]).astype(np.int64)


def _confusion(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> Confusion:
    if classes > _MOST_CLASSES:
        raise UserError(f"a confusion matrix is made for at most {_MOST_CLASSES} classes")
    matrices = confusion_matrices(predicted, labels, classes)
    count = min(_MODES, len(predicted) - 1)
    modes, scores = confusion_modes_of(matrices, count)
    centred = np.nan_to_num(matrices - matrices.mean(axis=0))
    total = np.square(centred).sum()
    share = np.square(scores).sum(axis=0) / total if total > 0 else np.zeros(count)
    return Confusion(matrices.mean(axis=0), modes, scores, share.tolist())
