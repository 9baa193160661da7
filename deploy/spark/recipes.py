"""The sparse products, as Sources/RecommendationEngine/Fitting/Recipe.swift names them and ProductPlan.swift takes them apart.

Everything is of single precision where it is there: which of two neighbours comes first may depend on it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# Usual parameters, by the names of the registry (`vireo models show`).
RECIPES = {
    "jaccard": {},
    "cosine": {},
    "bm25": {"k1": 1.2, "b": 0.75},
    "p3alpha": {"alpha": 0.8},
    "rp3beta": {"alpha": 0.8, "beta": 0.3},
    "product": {
        "user": 0.5, "choice": 0.34, "power": 1.3, "item": 1.0, "neighbour": 0.1, "row_sum": 0.0, "column_sum": 0.1,
    },
}
STANDARD = "product"


class Degree(NamedTuple):
    """d to minus this power, 0 where d is 0."""

    exponent: float

    def table(self, degrees, item_count=None):
        with np.errstate(divide="ignore"):
            powers = np.power(degrees.astype(np.float64), -self.exponent).astype(np.float32)
        return np.where(degrees > 0, powers, np.float32(0))


class Saturation(NamedTuple):
    """BM25's saturation of an item of so many users."""

    k1: float
    b: float

    def table(self, degrees, item_count=None):
        used = degrees[degrees > 0]
        mean = used.sum(dtype=np.float64) / len(used) if len(used) else 1.0
        return ((self.k1 + 1) / (self.k1 * (1 - self.b + self.b * degrees.astype(np.float64) / mean) + 1)).astype(np.float32)


class Rarity(NamedTuple):
    """The square of the inverse document frequency, with users as words."""

    def table(self, degrees, item_count):
        degrees = degrees.astype(np.float32)
        half = np.float32(0.5)
        frequency = np.log1p((np.float32(item_count) - degrees + half) / (degrees + half))
        return np.where(degrees > 0, frequency * frequency, np.float32(0))


@dataclass(frozen=True)
class Plan:
    """Who are neighbours, and what they weigh."""

    user: object
    # None: Jaccard's quotient, which then is what is shared.
    choice: object
    item: object
    neighbour: object
    power: float = 1.0
    row_sum: float = 0.0
    column_sum: float = 0.0


def plan(name, parameters):
    """The plan of a recipe; `parameters` has every key of `RECIPES[name]`."""
    of = parameters
    if name == "jaccard":
        return Plan(Degree(0), None, Degree(0), Degree(0))
    if name == "cosine":
        return Plan(Degree(0), Degree(0.5), Degree(0.5), Degree(0.5))
    if name == "bm25":
        factor = Saturation(max(of["k1"], 0), min(max(of["b"], 0), 1))
        return Plan(Rarity(), factor, factor, factor)
    if name == "p3alpha":
        return Plan(Degree(of["alpha"]), Degree(0), Degree(of["alpha"]), Degree(0))
    if name == "rp3beta":
        return Plan(Degree(of["alpha"]), Degree(of["beta"]), Degree(of["alpha"]), Degree(of["beta"]))
    return Plan(
        Degree(of["user"]), Degree(of["choice"]), Degree(of["item"]), Degree(of["neighbour"]),
        power=of["power"], row_sum=of["row_sum"], column_sum=of["column_sum"],
    )
