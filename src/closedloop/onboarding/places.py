"""Labels that are numbers: the places of their classes, from 0."""

from typing import Any

from numpy.typing import NDArray

from closedloop.errors import DataError
from closedloop.onboarding.classes import find_classes
from closedloop.onboarding.commented import Noted
from closedloop.onboarding.sections import CHECK


def find_places(codes: NDArray[Any], where: str) -> tuple[dict[str, int], dict[str, int]]:
    """The classes, named by their numbers, and the labels with too few examples, both with their counts.

    Raises DataError as `find_classes` does, and when the numbers of the classes are not 0, 1, 2 and so on: what the
    files hold is a place in the list of classes.
    """
    classes, rare = find_classes(map(str, codes.tolist()), where)
    found = sorted(map(int, classes))
    if found != list(range(len(found))):
        absent = next(place for place in range(len(found)) if place not in found)
        raise DataError(
            f"{where} holds numbers from {found[0]} to {found[-1]}, and {absent} {rare.get(str(absent), 0)} times; a "
            "number is the place of its class in task.classes, from 0 without gaps, with 10 examples each: number the "
            "labels anew, as numpy.unique(labels, return_inverse=True) does"
        )
    return {str(code): classes[str(code)] for code in found}, rare


def named_by_numbers(classes: dict[str, int]) -> dict[str, dict[str, Any]]:
    """The setting of a task whose classes have no names yet."""
    return {"task": {"classes": Noted(list(classes), f"{CHECK}: names of the labels from 0 on, in their order")}}
