"""An RQ queue in Redis. Its packages are optional, and imported on first use."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from modules.config.schema import HandoverConfig
from modules.errors import TranscriberError, noted

#: What the lock with the optional packages brings, as they are imported.
PACKAGES = ("rq", "redis")
#: Seconds for a connection, and for an answer.
CONNECT_S, ANSWER_S = 5.0, 5.0
#: How often RQ lets a worker try a job again that failed or whose worker died.
_RETRIES = 3
#: Seconds that a worker may take for a job, and that RQ knows a finished one; until then a repeat
#: of its id is refused.
_JOB_S, _KNOWN_S = 3600, 24 * 3600


@dataclass(frozen=True)
class RedisState:
    """What ``doctor`` asks of a Redis."""

    version: str
    evicts: str | None
    is_durable: bool


def missing_packages() -> list[str]:
    return [package for package in PACKAGES if find_spec(package) is None]


def shown_url(url: str) -> str:
    """An address as it may be logged: without user, password and options, wherever those are."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('?')[0].partition('#')[0].rpartition('@')[2]}"


class RqQueue:
    """Each method raises TranscriberError: ``handover_unavailable`` for a Redis that is away, full
    or refuses, ``handover_packages_missing``. It belongs to one thread."""

    def __init__(self, config: HandoverConfig) -> None:
        self._config = config
        self._redis: Any = None
        self._queue: Any = None

    def add(self, job_id: str, message: dict[str, Any]) -> bool:
        """Put a message into the queue; False if a job with this id is there, or was of late."""
        self._connect()
        from rq import Retry
        from rq.exceptions import DuplicateJobError

        try:
            self._queue.enqueue(
                self._config.function, kwargs={"message": message}, job_id=job_id, unique=True,
                retry=Retry(max=_RETRIES), job_timeout=_JOB_S, result_ttl=_KNOWN_S,
                description=job_id,  # or it is the whole message, in the log of each worker
            )  # fmt: skip
        except DuplicateJobError:
            return False
        except Exception as error:
            raise self._unavailable(error) from error
        return True

    def look(self) -> RedisState:
        """Ask whether it answers, and whether it keeps what it is given."""
        self._connect()
        try:
            facts = self._redis.info()
        except Exception as error:
            raise self._unavailable(error) from error
        policy = str(facts.get("maxmemory_policy", "noeviction"))
        saves = bool(facts.get("aof_enabled")) or self._saves()
        evicts = policy if policy != "noeviction" and facts.get("maxmemory") else None
        return RedisState(str(facts.get("redis_version", "?")), evicts, saves)

    def _saves(self) -> bool:
        """Whether it writes snapshots; a server that keeps its settings to itself is believed."""
        try:
            return bool(self._redis.config_get("save").get("save"))
        except Exception:  # noqa: BLE001 # each Redis refuses in its own way
            return True

    def close(self) -> None:
        if self._redis is not None:
            self._redis.close()

    def _connect(self) -> None:
        """Once: a client connects again by itself, and RQ keeps its scripts by client."""
        if self._queue is not None:
            return
        if missing := missing_packages():
            raise TranscriberError(
                "handover_packages_missing",
                noted(
                    "The hand-over needs packages that are not installed: {names}.",
                    names=", ".join(missing),
                ),
                remedy=noted(
                    "Run `make handover`, or `pip install -r requirements-handover.lock`."
                ),
            )
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
        from rq import Queue

        serializer = "json" if self._config.serializer == "json" else None
        try:
            # No retries of its own: who calls has a policy for that.
            self._redis = Redis.from_url(
                self._config.url or "", socket_connect_timeout=CONNECT_S, socket_timeout=ANSWER_S,
                retry=Retry(NoBackoff(), 0), protocol=2,
            )  # fmt: skip
            self._queue = Queue(self._config.queue, connection=self._redis, serializer=serializer)
        except Exception as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> TranscriberError:
        """Never with the address as it is configured: it may hold a password."""
        url = self._config.url or ""
        why = (str(error) or type(error).__name__).replace(url, shown_url(url))
        for secret in _secrets_in(url):
            why = why.replace(secret, "***")
        return TranscriberError(
            "handover_unavailable", noted("Redis cannot be used: {why}", why=why)
        )


def _secrets_in(url: str) -> list[str]:
    """The password of an address, as it is written and as it is meant."""
    from urllib.parse import parse_qs, unquote, urlsplit

    try:
        parts = urlsplit(url)
        found = [parts.password or "", *parse_qs(parts.query).get("password", [])]
    except ValueError:
        found = []
    return [each for one in found for each in (one, unquote(one)) if each]
