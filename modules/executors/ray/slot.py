"""The place of one worker in the pool: its actor is started, asked who it is, checked, handed out.

None of it is waited for: each look does what can be done at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from modules import __version__
from modules.clock import Clock
from modules.config.schema import Config
from modules.config.workers import WorkersConfig
from modules.errors import TranscriberError, WorkerError, noted
from modules.executors.ray.channel import Channel, LinkClosedError
from modules.executors.ray.executor import RayExecutor, away, sums_for
from modules.executors.ray.link_process import LinkProcess
from modules.executors.ray.remote_run import lost
from modules.executors.ray.wire import Checked, Hello, Media, Setup, Warm, error_of
from modules.executors.tasks import model_of
from modules.logger import get_logger

log = get_logger("Cluster")

#: Before another worker is started in the place of one that was lost, or refused, in seconds.
_AGAIN_S, _REFUSED_AGAIN_S = 1.0, 30.0


@dataclass(frozen=True)
class ClusterPlan:
    """What of the settings is about the cluster. ``command``: the child's, in tests."""

    address: str
    workers: int = 1
    cpus: float = 2
    gpus: float = 0
    media: Media = "share"
    path_map: tuple[tuple[str, str], ...] = ()
    token_file: Path | None = None
    command: tuple[str, ...] | None = None

    @classmethod
    def of(cls, workers: WorkersConfig) -> ClusterPlan:
        """What the section ``workers`` asks for; its kind is ``ray``."""
        return cls(
            address=workers.address or "",
            workers=workers.max,
            cpus=workers.cpus_per_worker,
            gpus=workers.gpus_per_worker,
            media=workers.media,
            path_map=tuple(workers.path_map.items()),
            token_file=workers.token_file,
        )

    def setup(self, config: Config) -> Setup:
        """What a worker is started with; nothing of it is secret."""
        sections = {"whisperx", "processing", "shared_directory", "manual_directory"}
        return Setup(
            config=config.model_dump(mode="json", include=sections),
            media=self.media,
            path_map=self.path_map,
            command=self.command,
        )


class WorkerSlot:
    """For the pool's thread; its executor is for another once it is handed out."""

    def __init__(self, number: int, plan: ClusterPlan, config: Config, clock: Clock) -> None:
        self.number = number
        self._plan = plan
        self._config = config
        self._clock = clock
        self._channel: Channel | None = None
        self._asked = ""
        self._hello: Hello | None = None
        self._again_at = float("-inf")
        self.since = clock.monotonic()
        #: The worker that can be given files.
        self.executor: RayExecutor | None = None
        #: Why there is none, if that is known.
        self.problem: TranscriberError | None = None

    def look(self, link: LinkProcess) -> None:
        """Do what is due. Raises nothing."""
        try:
            self._look(link)
        except LinkClosedError as error:
            self._begin_anew(away(str(error)), _AGAIN_S)
        except TranscriberError as error:
            self._begin_anew(error, _REFUSED_AGAIN_S)

    def _look(self, link: LinkProcess) -> None:
        if self.executor:
            if self.executor.lost:
                log.warning("Worker %d on %s is lost", self.number, self.executor.hello.node)
                self._begin_anew(self.executor.lost, _AGAIN_S)
            return
        if self._channel is None:
            if self._clock.monotonic() >= self._again_at:
                self._start(link)
            return
        answer = self._channel.answer(0)
        if answer is None:
            return
        if "error" in answer:
            raise lost(str(answer.get("details") or answer["error"]))
        self._go_on(self._channel, answer)

    def _start(self, link: LinkProcess) -> None:
        self._channel = link.channel()
        self._asked = "start"
        self._channel.ask(
            {
                "op": "start",
                "cpus": self._plan.cpus,
                "gpus": self._plan.gpus,
                "setup": self._plan.setup(self._config).model_dump_json(),
            }
        )

    def _go_on(self, channel: Channel, answer: dict[str, object]) -> None:
        """After each answer the next question; after the last the worker is ready."""
        if self._asked == "start":
            self._ask(channel, "hello", "{}")
            return
        try:
            if self._asked == "hello":
                self._hello = _checked(Hello.model_validate_json(str(answer["answer"])))
                self._ask(channel, "check", self._weights())
                return
            refusal = Checked.model_validate_json(str(answer["answer"])).refusal
        except (ValidationError, KeyError) as error:
            raise lost(str(error)) from None
        if refusal:
            raise error_of(refusal)
        assert self._hello is not None
        self.executor = RayExecutor(channel, self._hello, self._config, self._clock)
        self.problem = None
        log.info("Worker %d is ready on %s", self.number, self._hello.node)

    def _ask(self, channel: Channel, method: str, argument: str) -> None:
        # Without a limit: as long as the cluster has no room for it, it waits there.
        self._asked = method
        channel.ask({"op": "call", "method": method, "argument": argument, "limit_s": None})

    def _weights(self) -> str:
        spec = model_of(self._config.default_settings(), self._config)
        return Warm(spec=spec, sums=sums_for(spec)).model_dump_json()

    def _begin_anew(self, problem: TranscriberError, wait_s: float) -> None:
        if self.problem is None or str(self.problem) != str(problem):
            log.warning("Worker %d: %s", self.number, problem)
        if self.executor is None and self._channel:
            self._channel.close()
        self._channel = self.executor = self._hello = None
        self.problem = problem
        self.since = self._clock.monotonic()
        self._again_at = self.since + wait_s

    def drop(self, problem: TranscriberError | None = None) -> None:
        """The link is gone, and with it the worker; its executor notices by itself."""
        if self.executor:
            self.executor.lost = self.executor.lost or problem
        elif self._channel:
            self._channel.close()
        self._channel = self.executor = self._hello = None
        self.since = self._clock.monotonic()
        self._again_at = float("-inf")


def _checked(hello: Hello) -> Hello:
    if hello.version != __version__:
        raise WorkerError(
            "node_version_differs",
            noted(
                "The machine {node} runs version {there} of the program, this one {here}.",
                node=hello.node,
                there=hello.version,
                here=__version__,
            ),
            remedy=noted("Bring the same version to both."),
        )
    return hello
