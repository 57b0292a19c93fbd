"""Naming a version that is tried on live traffic, and taking it off again."""

import pytest

from closedloop.errors import ConfigError, RegistryError
from closedloop.registry.challenge import challenge, unchallenge
from closedloop.registry.listing import list_versions
from closedloop.registry.watch import alias_version
from registered_digits import Registry


def test_a_version_becomes_challenger_and_is_taken_off_again(registry: Registry) -> None:
    params, weak, strong = registry.params, registry.add("weak"), registry.add("strong")
    registry.point("champion", weak)
    challenge(params, strong)
    assert alias_version(params, "challenger") == strong
    assert alias_version(params, "champion") == weak
    listed = list_versions(params).splitlines()
    assert "challenger" in listed[1] and "champion" in listed[2]
    assert unchallenge(params) == strong
    assert alias_version(params, "challenger") is None
    with pytest.raises(RegistryError, match="no challenger"):
        unchallenge(params)


def test_versions_are_listed_with_the_score_that_they_have_recorded(registry: Registry) -> None:
    registry.add("weak", score="a_metric", a_metric="0.1250", accuracy="0.9")
    registry.add("weak", energy_score="14.5501")  # registered when the metric was not named
    registry.add("weak")
    listed = list_versions(registry.params).splitlines()[1:]
    for line, score in zip(listed, (" ? ", "energy_score 14.5501", "a_metric 0.1250"), strict=True):
        assert score in line


def test_what_cannot_challenge_is_refused(registry: Registry) -> None:
    params = registry.params
    with pytest.raises(ConfigError, match="no version 4; registered: none"):
        challenge(params, 4)
    weak, strong = registry.add("weak"), registry.add("strong")
    with pytest.raises(RegistryError, match="no champion to challenge"):
        challenge(params, weak)
    registry.point("champion", weak)
    with pytest.raises(ConfigError, match="version 1 of digits is the champion"):
        challenge(params, weak)
    with pytest.raises(ConfigError, match="no version 4; registered: 1, 2"):
        challenge(params, 4)
    (registry.folder(strong) / "artifacts/model.onnx").write_bytes(b"cut")
    with pytest.raises(RegistryError, match="version 2 of digits is not usable"):
        challenge(params, strong)
    assert alias_version(params, "challenger") is None
