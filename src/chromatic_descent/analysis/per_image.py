"""The images on which members disagree, and those that define the axes of the maps."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chromatic_descent import ensemble
from chromatic_descent.analysis.maps import Maps
from chromatic_descent.analysis.per_class import predicted_classes
from chromatic_descent.analysis.results import NotComputed, attempt
from chromatic_descent.errors import UserError
from chromatic_descent.probe_logits import Population

_DISPUTED = 24  # images on which members disagree most
_AXES, _AT_AN_END = 3, 6  # axes, and images for each end of one


@dataclass(frozen=True, eq=False)
class PerImage:
    """Results by image. `image` is a position in the probe, `index` one in the test split."""

    disputed: pd.DataFrame | NotComputed  # image, index, label, disagreement, mutual_information
    axis_ends: dict[str, pd.DataFrame]  # by distance: axis, end (+, −), image, index, label, slope
    images: NDArray[np.int64]  # [K], all of these images
    predicted: NDArray[np.int64]  # [S, K], the class that each member predicts for them

    def predicted_for(self, image: int) -> NDArray[np.int64]:
        """The class that each member predicts for one of these images [S]."""
        return self.predicted[:, int(np.searchsorted(self.images, image))]


def pick_images(population: Population, maps: Maps) -> PerImage:
    """Pick the images on which members disagree, and those that define the axes of each map."""
    predicted = predicted_classes(population)
    disputed, axis_ends = attempt(_disputed, population, predicted), _axis_ends(population, maps)
    tables = [*axis_ends.values(), *([] if isinstance(disputed, NotComputed) else [disputed])]
    images = np.unique([image for table in tables for image in table["image"]]).astype(np.int64)
    return PerImage(disputed, axis_ends, images, predicted[:, images])


def _disputed(population: Population, predicted: NDArray[np.int64]) -> pd.DataFrame:
    """The images on which most pairs of members disagree; ties go to more mutual information."""
    members, images, classes = population.logits.shape
    if members < 2:
        raise UserError("one member disagrees with nobody")
    votes = np.zeros((images, classes))
    for row in predicted:
        votes[np.arange(images), row] += 1
    agreeing = (votes * (votes - 1)).sum(axis=1) / (members * (members - 1))
    information = ensemble.uncertainty(population.logits).mutual_information
    picked = np.lexsort((-information, agreeing))[:_DISPUTED]
    return pd.DataFrame(
        {
            "image": picked,
            "index": population.indices[picked],
            "label": population.labels[picked],
            "disagreement": 1 - agreeing[picked],
            "mutual_information": information[picked],
        }
    )


def _axis_ends(population: Population, maps: Maps) -> dict[str, pd.DataFrame]:
    """By distance, the images whose true class becomes most, and least, probable along each axis.

    slope_n = Σ_i x_i p_in / Σ_i x_i², p the probability of the label and x the coordinates: members
    at the + end classify the images of largest slope better than members at the − end.
    """
    images, ends = np.arange(len(population.labels)), {}
    probability = np.stack(
        [
            np.exp(ensemble.log_softmax(member)[images, population.labels])
            for member in population.logits
        ]
    )  # of the labels [S, N]
    for name, view in maps.computed().items():
        rows = []
        for axis, x in enumerate(view.coordinates.T[:_AXES]):
            if not np.square(x).sum() > 0:
                continue
            slope = x @ probability / np.square(x).sum()
            upwards = np.argsort(slope, kind="stable")
            for end, ordered in (("+", upwards[::-1]), ("-", upwards)):
                rows += [
                    (axis + 1, end, n, population.indices[n], population.labels[n], slope[n])
                    for n in ordered[:_AT_AN_END]
                ]
        columns = ["axis", "end", "image", "index", "label", "slope"]
        ends[name] = pd.DataFrame(rows, columns=columns)
    return ends
