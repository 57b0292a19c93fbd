"""A server's versions follow their aliases; whatever cannot be followed leaves what was loaded and says why."""

import asyncio
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from closedloop.config import Serving
from closedloop.errors import ConfigError
from closedloop.registry import aliases
from closedloop.registry.challenge import challenge, unchallenge
from closedloop.serving.deployment import Deployment, Loaded
from closedloop.tasks.base import Preprocessor
from registered_digits import TESTED_FROM, Registry, digits

PATIENCE = 20.0  # seconds; a machine may be slow, the promise itself is measured elsewhere


def version_of(loaded: Loaded | None) -> int | None:
    return loaded.version if loaded else None


def following(deployment: Deployment, work: Callable[[], Awaitable[None]]) -> None:
    """Do some work in an event loop while the deployment follows in it."""

    async def main() -> None:
        task = asyncio.create_task(deployment.follow())
        try:
            await work()
            assert not task.done()
        finally:
            task.cancel()

    asyncio.run(main())


async def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)


@pytest.fixture
def quick(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A deployment that looks fifty times a second."""
    monkeypatch.setattr("closedloop.serving.deployment.FIRST_PAUSE", 0.05)
    serving = Serving(poll_seconds=0.02, challenger="shadow")
    return Deployment(registry.params.model_copy(update={"serving": serving}))


def test_without_a_champion_nothing_is_loaded_until_there_is_one(registry: Registry, quick: Deployment) -> None:
    quick.load_now()
    assert quick.champion is None
    assert "digits has no champion" in str(quick.problem)
    version = registry.add("weak")

    async def work() -> None:
        registry.point("champion", version)
        await until(lambda: quick.champion is not None)

    following(quick, work)
    assert version_of(quick.champion) == version
    assert quick.problem is None
    test = digits(TESTED_FROM, TESTED_FROM + 20)
    local = aliases.load_champion(registry.params).predictor
    assert np.array_equal(quick.champion.predictor.answers(test), local.answers(test))  # type: ignore[union-attr]


def test_promotion_rollback_and_mlflows_own_client_are_followed(registry: Registry, quick: Deployment) -> None:
    weak, strong = registry.add("weak"), registry.add("strong")
    aliases.promote(registry.params, weak)
    quick.load_now()

    async def work() -> None:
        assert version_of(quick.champion) == weak
        moves: list[tuple[Callable[[], object], int]] = [
            (lambda: aliases.promote(registry.params, strong), strong),
            (lambda: aliases.rollback(registry.params), weak),
            (lambda: registry.point("champion", strong), strong),
        ]
        for move, target in moves:
            await asyncio.to_thread(move)
            await until(lambda target=target: version_of(quick.champion) == target)  # type: ignore[misc]

    following(quick, work)
    assert quick.problem is None


def test_an_alias_that_flaps_while_requests_are_answered_fails_none_of_them(
    registry: Registry, quick: Deployment
) -> None:
    weak, strong = registry.add("weak"), registry.add("strong")
    registry.point("champion", weak)
    quick.load_now()
    test = digits(TESTED_FROM, TESTED_FROM + 5)
    requests = quick.champion.predictor.preprocessor.encode(test)  # type: ignore[union-attr]
    expected = {
        version: aliases.load_version(registry.params, version).predictor.predict(requests)
        for version in (weak, strong)
    }
    seen: set[int] = set()

    def flap() -> None:
        for turn in range(50):
            registry.point("champion", (weak, strong)[turn % 2])
            time.sleep(0.03)
        registry.point("champion", strong)

    async def work() -> None:
        flapping = asyncio.create_task(asyncio.to_thread(flap))
        while not flapping.done() or version_of(quick.champion) != strong:
            loaded = quick.champion
            assert loaded is not None
            # one version from start to end, whatever the alias does meanwhile
            assert np.allclose(loaded.predictor.predict(requests), expected[loaded.version], atol=1e-6)
            seen.add(loaded.version)
            await asyncio.sleep(0.001)
        await flapping

    following(quick, lambda: asyncio.wait_for(work(), 60))
    assert seen == {weak, strong}
    assert quick.problem is None


def break_by(damage: str, folder: Path) -> None:
    model, preprocessor = folder / "artifacts/model.onnx", folder / "artifacts/preprocessor/preprocessor.json"
    if damage == "missing folder":
        shutil.rmtree(folder)
    elif damage == "missing weights":
        model.unlink()
    elif damage == "half a model":
        model.write_bytes(model.read_bytes()[:1000])
    elif damage == "damaged preprocessor":
        preprocessor.write_text('{"kind": "image_cla')
    elif damage == "a class too few":
        target = preprocessor.with_name("target.json")
        target.write_text(target.read_text().replace('"9"', '"8"').replace('"0",', ""))
    else:  # answers that are no numbers
        graph = onnx.load(model)
        weights = next(tensor for tensor in graph.graph.initializer if tensor.name == "weights")
        weights.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weights) * np.nan, "weights"))
        onnx.save(graph, model)


DAMAGES = [
    "missing folder", "missing weights", "half a model", "damaged preprocessor", "a class too few", "no numbers",
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_version_leaves_the_old_one_serving_and_says_so(
    registry: Registry, quick: Deployment, damage: str
) -> None:
    good, proven, unproven = registry.add("weak"), registry.add("strong"), registry.add("strong")
    registry.client.delete_model_version_tag("digits", str(unproven), "digest")
    registry.point("champion", good)
    quick.load_now()
    before = quick.champion
    for broken in (proven, unproven):
        break_by(damage, registry.folder(broken))
        registry.point("champion", broken)
        quick.load_now()
        assert quick.champion is before
        assert str(quick.problem).startswith(f"version {broken} does not load: ")
        assert str(quick.problem).endswith(f"; version {good} goes on answering")
        assert quick.status()["problem"] == quick.problem
    registry.point("champion", good)
    quick.load_now()
    assert quick.champion is before
    assert quick.problem is None


def test_a_broken_version_is_tried_again_with_growing_pauses_until_it_is_mended(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, broken = registry.add("weak"), registry.add("strong")
    registry.point("champion", good)
    deployment = Deployment(registry.params)
    deployment.load_now()
    model = registry.folder(broken) / "artifacts/model.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:1000])  # half copied
    registry.point("champion", broken)

    now, tries = [1000.0], []
    monkeypatch.setattr("closedloop.serving.deployment.time.monotonic", lambda: now[0])
    from closedloop.serving import deployment as module

    original = module.load
    monkeypatch.setattr(module, "load", lambda params, version: (tries.append(now[0]), original(params, version))[1])
    for _ in range(300):  # seconds
        deployment.load_now()
        assert "digest differs" in str(deployment.problem)  # also while it waits
        now[0] += 1
    pauses = np.diff(tries)
    assert list(pauses[:6]) == [1, 2, 4, 8, 16, 32]
    assert set(pauses[6:]) == {60}
    model.write_bytes(content)
    now[0] += 60
    deployment.load_now()
    assert version_of(deployment.champion) == broken
    assert deployment.problem is None


def test_a_lost_alias_or_store_is_said_and_the_champion_stays(registry: Registry, quick: Deployment) -> None:
    version = registry.add("weak")
    registry.point("champion", version)
    quick.load_now()
    registry.client.delete_registered_model_alias("digits", "champion")
    quick.load_now()
    assert version_of(quick.champion) == version
    assert quick.problem == (
        "digits has no champion: `make run` or `make promote` sets one; version 1 goes on answering"
    )
    registry.point("champion", version)
    quick.load_now()
    assert quick.problem is None
    hidden = registry.root / "mlflow.db"
    hidden.rename(registry.root / "elsewhere.db")
    quick.load_now()
    assert version_of(quick.champion) == version
    assert "there is no MLflow store" in str(quick.problem)
    (registry.root / "elsewhere.db").rename(hidden)
    quick.load_now()
    assert quick.problem is None


def test_following_outlives_errors_that_nobody_has_thought_of(
    registry: Registry, quick: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = registry.add("weak")
    registry.point("champion", version)
    quick.load_now()

    def fail(*_: object) -> int:
        raise ZeroDivisionError("nobody has thought of this")

    async def work() -> None:
        with monkeypatch.context() as patch:
            patch.setattr("closedloop.serving.deployment.alias_target", fail)
            await until(lambda: "ZeroDivisionError" in str(quick.problem))
        await until(lambda: quick.problem is None)

    following(quick, work)


def test_another_model_under_the_same_number_is_followed(registry: Registry, quick: Deployment) -> None:
    registry.point("champion", registry.add("weak"))
    quick.load_now()
    registry.client.delete_registered_model("digits")  # as a lost store does, numbers begin anew
    registry.client.create_registered_model("digits")
    assert registry.add("strong") == version_of(quick.champion) == 1
    test = digits(TESTED_FROM, TESTED_FROM + 20)
    before = quick.champion
    registry.point("champion", 1)
    quick.load_now()
    assert quick.champion is not before and quick.problem is None
    strong = aliases.load_version(registry.params, 1).predictor
    assert np.array_equal(quick.champion.predictor.answers(test), strong.answers(test))  # type: ignore[union-attr]
    again = quick.champion
    quick.load_now()
    assert quick.champion is again


def test_concurrent_promotions_end_with_the_last_one_served(registry: Registry, quick: Deployment) -> None:
    versions = [registry.add("weak"), registry.add("strong"), registry.add("weak")]
    registry.point("champion", versions[0])
    quick.load_now()

    def promote_all(start: int) -> None:
        for turn in range(6):
            registry.point("champion", versions[(start + turn) % 3])

    async def work() -> None:
        threads = [threading.Thread(target=promote_all, args=(start,)) for start in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        final = aliases.champion_version(registry.client, "digits")
        await until(lambda: version_of(quick.champion) == final)

    following(quick, work)
    assert quick.problem is None


def test_the_challenger_comes_and_goes_with_its_alias(registry: Registry, quick: Deployment) -> None:
    weak, strong = registry.add("weak"), registry.add("strong")
    registry.point("champion", weak)
    quick.load_now()
    assert quick.challenger is None and quick.challenger_problem is None
    challenge(registry.params, strong)
    quick.load_now()
    assert version_of(quick.challenger) == strong
    assert quick.status()["challenger"]["version"] == strong
    registry.point("champion", strong)  # promoted: nothing is tried beside itself
    quick.load_now()
    assert quick.challenger is None and version_of(quick.champion) == strong
    registry.point("champion", weak)
    quick.load_now()
    assert version_of(quick.challenger) == strong
    assert unchallenge(registry.params) == strong
    quick.load_now()
    assert quick.challenger is None and quick.challenger_problem is None


def test_a_challenger_that_does_not_come_keeps_no_champion_from_following(
    registry: Registry, quick: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak, strong = registry.add("weak"), registry.add("strong")
    registry.point("champion", weak)
    quick.load_now()
    go, look = threading.Event(), quick._challenger.look
    monkeypatch.setattr(quick._challenger, "look", lambda: go.wait(PATIENCE) and look())

    async def work() -> None:
        registry.point("champion", strong)
        await until(lambda: version_of(quick.champion) == strong)

    following(quick, work)
    go.set()


def test_a_broken_challenger_is_a_problem_of_its_own(registry: Registry, quick: Deployment) -> None:
    weak, strong = registry.add("weak"), registry.add("strong")
    registry.point("champion", weak)
    registry.point("challenger", strong)
    break_by("half a model", registry.folder(strong))
    quick.load_now()
    assert version_of(quick.champion) == weak and quick.problem is None
    assert quick.challenger is None and "digest differs" in str(quick.challenger_problem)


def reshape(folder: Path, height: int, width: int) -> None:
    """Have a linear model take images of another shape."""
    model, preprocessor = folder / "artifacts/model.onnx", folder / "artifacts/preprocessor/preprocessor.json"
    graph = onnx.load(model)
    for place, size in ((2, height), (3, width)):
        graph.graph.input[0].type.tensor_type.shape.dim[place].dim_value = size
    onnx.save(graph, model)
    preprocessor.write_text(json.dumps(json.loads(preprocessor.read_text()) | {"height": height, "width": width}))


def test_a_challenger_that_takes_other_requests_is_not_given_them(registry: Registry, quick: Deployment) -> None:
    weak, strong = registry.add("weak"), registry.add("strong")
    reshape(registry.folder(strong), height=4, width=16)
    registry.client.delete_model_version_tag("digits", str(strong), "digest")
    registry.point("champion", weak)
    registry.point("challenger", strong)
    quick.load_now()
    assert quick.challenger is None
    assert "version 2 does not take the requests of version 1" in str(quick.challenger_problem)
    registry.point("champion", strong)  # as the champion it is welcome: requests have another form from now on
    quick.load_now()
    assert version_of(quick.champion) == strong and quick.problem is None


def test_a_version_that_the_log_does_not_fit_is_not_followed(registry: Registry) -> None:
    weak, strong = registry.add("weak"), registry.add("strong")
    registry.point("champion", weak)
    allowed = True

    def check(_: Preprocessor) -> None:
        if not allowed:
            raise ConfigError("log.pseudonymised: name is no field of a request")

    deployment = Deployment(registry.params, check)
    deployment.load_now()
    assert version_of(deployment.champion) == weak and deployment.error is None
    allowed = False
    registry.point("champion", strong)
    deployment.load_now()
    assert version_of(deployment.champion) == weak
    assert "version 2 does not load: log.pseudonymised: name is no field" in str(deployment.problem)
    assert isinstance(deployment.error, ConfigError)


def test_a_challenger_is_not_loaded_when_none_is_wanted(registry: Registry) -> None:
    registry.point("champion", registry.add("weak"))
    registry.point("challenger", registry.add("strong"))
    deployment = Deployment(registry.params)  # serving.challenger is off
    deployment.load_now()
    assert version_of(deployment.champion) == 1 and deployment.challenger is None


def test_following_imports_nothing_heavy(registry: Registry) -> None:
    registry.point("champion", registry.add("weak"))
    (registry.root / "follow.py").write_text(
        "import sys\n"
        "from registered_params import params\n"
        "from closedloop.serving.deployment import Deployment\n"
        "deployment = Deployment(params)\n"
        "deployment.load_now()\n"
        "assert deployment.champion.version == 1, deployment.problem\n"
        "print([name for name in ('mlflow', 'torch', 'evidently', 'matplotlib', 'scipy') if name in sys.modules])\n"
    )
    (registry.root / "registered_params.py").write_text(
        f"from closedloop.config import parse\nparams = parse({registry.params.model_dump()!r}, 'test')\n"
    )
    finished = subprocess.run([sys.executable, "follow.py"], capture_output=True, text=True, check=False)
    assert finished.stdout.strip() == "[]", finished.stderr
