"""The model versions that a server answers with, following their aliases in the registry."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from closedloop.config import Params
from closedloop.errors import ClosedLoopError, DataError
from closedloop.registry.store import CHALLENGER, CHAMPION
from closedloop.registry.watch import Target, alias_target, model_files, version_folder
from closedloop.serving.predictor import Predictor
from closedloop.serving.threads import Threads
from closedloop.targets import said_of
from closedloop.tasks.base import Preprocessor

LOG = logging.getLogger(__name__)
THREADS = 1  # of ONNX Runtime: idle threads of its own would spin on the cores that other requests need
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between tries to load a version that does not load; doubled each time
Check = Callable[[Preprocessor], None]


@dataclass(frozen=True)
class Loaded:
    """A version that is ready to answer; a request uses one from start to end."""

    version: int
    predictor: Predictor
    loaded_at: float  # seconds since 1970


class Deployment:
    """Champion and challenger as they are served.

    `problem` and `challenger_problem` say why the registry could not be followed, for as long as it cannot. Reading is
    safe from any thread; only one at a time may look at an alias.
    """

    def __init__(self, params: Params, check: Check = lambda _: None) -> None:
        """`check` raises for a version that must not answer."""
        self._params = params
        self._champion = Follower(params, CHAMPION, check, lasting=True)
        self._challenger = Follower(params, CHALLENGER, check, lasting=False)
        self._pair: Pair | None = None

    @property
    def champion(self) -> Loaded | None:
        return self._champion.loaded

    @property
    def challenger(self) -> Loaded | None:
        """The version that is tried beside the champion, where there is another one that takes the same requests."""
        pair = self._pair
        return pair.challenger if pair and pair.champion is self.champion and not pair.flaw else None

    @property
    def problem(self) -> str | None:
        return self._champion.problem

    @property
    def error(self) -> Exception | None:
        """What kept the champion from being loaded."""
        return self._champion.error

    @property
    def challenger_problem(self) -> str | None:
        return self._challenger.problem or (self._pair.flaw if self._pair else None)

    def load_now(self) -> None:
        """Look at the aliases once and load what they name; never raises, see `problem`."""
        for look in self._looks():
            look()

    async def follow(self) -> None:
        """Look at the aliases every serving.poll_seconds until cancelled; the event loop never waits for the store.

        Each by itself: a challenger that does not come must not keep the champion from being rolled back.
        """
        await asyncio.gather(*[self._repeat(look) for look in self._looks()])

    async def _repeat(self, look: Callable[[], None]) -> None:
        thread = Threads("follow", 1)
        while True:
            await asyncio.sleep(self._params.serving.poll_seconds)
            await thread.run(look)

    def _looks(self) -> list[Callable[[], None]]:
        tried = self._params.serving.challenger != "off"
        return [self._champion.look, self._look_at_challenger] if tried else [self._champion.look]

    def _look_at_challenger(self) -> None:
        self._challenger.look()
        self._pair = paired(self._challenger.loaded, self._champion.loaded, self._pair)

    def status(self) -> dict[str, Any]:
        """What is served and what is wrong with following, as JSON."""
        return {
            "champion": _described(self.champion),
            "challenger": _described(self.challenger),
            "challenger_mode": self._params.serving.challenger,
            "problem": self.problem,
            "challenger_problem": self.challenger_problem,
        }


@dataclass(frozen=True)
class Pair:
    """A challenger beside a champion, and why it cannot answer the champion's requests, where it cannot."""

    challenger: Loaded
    champion: Loaded
    flaw: str | None


def paired(challenger: Loaded | None, champion: Loaded | None, known: Pair | None) -> Pair | None:
    """The pair of two versions, tried out unless it is the known one."""
    if challenger is None or champion is None or challenger.version == champion.version:
        return None
    if known and known.challenger is challenger and known.champion is champion:
        return known
    try:
        try_out(challenger.predictor, champion.predictor.preprocessor.request_example())
    except Exception as error:  # what a model raises on a request of another form, nobody knows
        flaw = f"version {challenger.version} does not take the requests of version {champion.version}: {_words(error)}"
        return Pair(challenger, champion, flaw)
    return Pair(challenger, champion, None)


@dataclass(frozen=True)
class Failure:
    """What did not load, and when to try again."""

    target: Target
    reason: str
    pause: float  # seconds
    due: float  # of the monotonic clock


class Follower:
    """Loads the version behind one alias; while that fails, the one loaded before stays."""

    def __init__(self, params: Params, alias: str, check: Check, *, lasting: bool) -> None:
        """`lasting`: whether the version stays when its alias is deleted."""
        self._params, self._alias, self._check, self._lasting = params, alias, check, lasting
        self._failure: Failure | None = None
        self._followed: Target | None = None  # what is loaded
        self.loaded: Loaded | None = None
        self.problem: str | None = None
        self.error: Exception | None = None  # of the last try to load

    def look(self) -> None:
        """Ask the registry and load what it names; never raises, see `problem`."""
        try:
            problem = self._move_to(alias_target(self._params, self._alias))
        except Exception as error:  # whatever it is, the version that is loaded goes on answering
            problem = _words(error)
        if problem and self.loaded:
            problem = f"{problem}; version {self.loaded.version} goes on answering"
        if problem != self.problem:
            LOG.log(logging.WARNING if problem else logging.INFO, "%s: %s", self._alias, problem or "followed again")
        self.problem = problem

    def _move_to(self, target: Target | None) -> str | None:
        """Load what an alias leads to unless it is loaded or has failed just now; return what is wrong."""
        if target is None:
            if self._lasting:
                return f"{self._params.task.name} has no {self._alias}: `make run` or `make promote` sets one"
            self.loaded = self._followed = None
            return None
        if target == self._followed:
            self._failure = None
            return None
        failed = self._failure if self._failure and self._failure.target == target else None
        if failed and time.monotonic() < failed.due:
            return failed.reason
        try:
            loaded = load(self._params, target.version)
            self._check(loaded.predictor.preprocessor)
        except Exception as error:  # onnxruntime alone raises a dozen kinds for broken files
            self.error = error
            pause = min(failed.pause * 2, LONGEST_PAUSE) if failed else FIRST_PAUSE
            reason = f"version {target.version} does not load: {_words(error)}"
            self._failure = Failure(target, reason, pause, time.monotonic() + pause)
            return self._failure.reason
        self._failure, self.error = None, None
        self.loaded, self._followed = loaded, target
        LOG.info("%s: version %d answers from now on", self._alias, target.version)
        return None


def load(params: Params, version: int) -> Loaded:
    """Load a version and have it answer once, which also warms it up.

    Raises RegistryError when it cannot be had or its files were altered, DataError when it does not load or answer.
    """
    predictor = Predictor.load(*model_files(version_folder(params, version)), THREADS)
    try_out(predictor, predictor.preprocessor.request_example())
    return Loaded(version, predictor, time.time())


def try_out(predictor: Predictor, request: dict[str, Any]) -> None:
    """Raises DataError unless the answers to a request, sent twice, are such as the model's target has."""
    found, shape = predictor.predict([request, request]), (2, predictor.target.width)
    if found.shape != shape:
        raise DataError(f"it answers with an array of {found.shape} where its target asks for {shape}")
    predictor.target.check_rows(found.tolist())


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, ClosedLoopError) else f"{type(error).__name__}: {error}".splitlines()[0]


def _described(loaded: Loaded | None) -> dict[str, Any] | None:
    if loaded is None:
        return None
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(loaded.loaded_at))
    return {"version": loaded.version, "loaded_at": at, **said_of(loaded.predictor.target)}
