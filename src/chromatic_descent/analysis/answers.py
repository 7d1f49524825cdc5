"""What members answer: on which classes they differ, and on which images."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromatic_descent import ensemble
from chromatic_descent.analysis.results import Result, attempt, computed
from chromatic_descent.errors import UserError
from chromatic_descent.geometry.drivers.member_drivers import confusion_matrices, confusion_modes_of
from chromatic_descent.probe_logits import Population

_DISPUTED = 24  # images on which members disagree most
_AXES, _AT_AN_END = 3, 6  # axes, and images for each end of one
_MODES = 2  # of confusion, as many as there are drivers of them
_MOST_CLASSES = 100  # in a confusion matrix that can be read

Array = NDArray[np.float64]


def answers(population: Population, maps: Result) -> Result:
    """Accuracy by class, confusions and their modes, images that divide members or make axes.

    class_accuracy [S, C]; confusion.mean [C, C], confusion.modes [k, C, C] and confusion.scores
    [S, k]; `disputed`, a row per image; by distance `axis_ends`, a row per axis, end and image.
    """
    labels, classes = population.labels, population.logits.shape[-1]
    answer = np.stack([logits.argmax(axis=-1) for logits in population.logits])  # [S, N]
    return {
        "class_accuracy": _class_accuracy(answer, labels, classes),
        "confusion": attempt(_confusion, answer, labels, classes),
        "disputed": attempt(_disputed, population, answer),
        "axis_ends": _axis_ends(population, maps),
    }


def _class_accuracy(answer: NDArray[np.intp], labels: NDArray[np.int64], classes: int) -> Array:
    """Share of right answers by member and class [S, C], NaN for a class without images."""
    of_class = np.bincount(labels, minlength=classes)
    right = np.stack(
        [np.bincount(labels[row == labels], minlength=classes) for row in answer]
    ).astype(float)
    share: Array = np.divide(right, of_class, out=np.full_like(right, np.nan), where=of_class > 0)
    return share


def _confusion(answer: NDArray[np.intp], labels: NDArray[np.int64], classes: int) -> Result:
    if classes > _MOST_CLASSES:
        raise UserError(f"a confusion matrix is made for at most {_MOST_CLASSES} classes")
    matrices = confusion_matrices(answer, labels, classes)
    count = min(_MODES, len(answer) - 1)
    modes, scores = confusion_modes_of(matrices, count)
    centred = np.nan_to_num(matrices - matrices.mean(axis=0))
    total = np.square(centred).sum()
    share = np.square(scores).sum(axis=0) / total if total > 0 else np.zeros(count)
    return {
        "mean": matrices.mean(axis=0),
        "modes": modes,
        "scores": scores,
        "shares": share.tolist(),
    }


def _disputed(population: Population, answer: NDArray[np.intp]) -> pd.DataFrame:
    """The images on which most pairs of members answer differently; of those the least agreed.

    disagreement is the share of pairs, mutual_information H(p̄) − mean_i H(p_i) in nats.
    """
    members, images = answer.shape
    if members < 2:
        raise UserError("one member disagrees with nobody")
    classes = population.logits.shape[-1]
    votes = np.zeros((images, classes))
    for row in answer:
        votes[np.arange(images), row] += 1
    agreeing = (votes * (votes - 1)).sum(axis=1) / (members * (members - 1))
    information = ensemble.uncertainty(population.logits).mutual_information
    order = np.lexsort((-information, agreeing))[:_DISPUTED]
    return pd.DataFrame(
        {
            "image": order,
            "index": population.indices[order],
            "label": population.labels[order],
            "disagreement": 1 - agreeing[order],
            "mutual_information": information[order],
        }
    )


def _axis_ends(population: Population, maps: Result) -> Result:
    """By distance, the images whose right answer becomes most, and least, probable along each axis.

    slope_n = Σ_i x_i p_in / Σ_i x_i², p the probability of the label and x the coordinates: the
    images of largest slope are those that members at the + end answer better than those at the −
    end, per unit of the axis.
    """
    right: Any = None
    found: Result = {}
    for name, view in maps.items():
        if not computed(view):
            continue
        if right is None:
            right = _right_probability(population)  # [S, N]
        rows = []
        coordinates = view["coordinates"]
        for axis in range(min(_AXES, coordinates.shape[1])):
            x = coordinates[:, axis]
            if not np.square(x).sum() > 0:
                continue
            slope = x @ right / np.square(x).sum()
            order = np.argsort(slope, kind="stable")
            for end, those in (("+", order[::-1]), ("-", order)):
                rows += [
                    (axis + 1, end, n, population.indices[n], population.labels[n], slope[n])
                    for n in those[:_AT_AN_END]
                ]
        columns = ["axis", "end", "image", "index", "label", "slope"]
        found[name] = pd.DataFrame(rows, columns=columns)
    return found


def _right_probability(population: Population) -> Array:
    rows = np.arange(len(population.labels))
    return np.stack(
        [
            np.exp(ensemble.log_softmax(logits)[rows, population.labels])
            for logits in population.logits
        ]
    )
