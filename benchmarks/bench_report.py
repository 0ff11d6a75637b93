"""The benchmark's figures: ratios pair by pair, the table, the goals, JSON and the picture. Pure.

The contenders take turns, and a ratio is that of two goes of the same turn: these machines drift.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.scores import Comparison, aligned, compared, units_of
from benchmarks.spoken import spoken

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: The contenders by key; "fast" is the daemon with ``fast_mode``.
TITLES = {
    "daemon": "warm daemon",
    "fast": "the same, fast_mode",
    "command": "whisperx command",
    "batched": "faster-whisper, batched",
}
MESSAGES = "messages"
#: Fewer blocks or clips than this say nothing about how sure a difference is.
UNITS_FOR_AN_INTERVAL = 8

#: What is asked for, by trial: the command's time over the daemon's.
TIMES_THE_COMMAND = {"10": 12.0, "600": 2.5, MESSAGES: 16.0}
SHARE_OF_BATCHED = {"3600": 0.65}
FAST_TIMES = 1.3
FAST_POINTS = 1.0
MOST_PSS_MB = 1600

Units = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Taken:
    """What one go took: wall and CPU seconds, the most memory of all its processes together.

    ``process_s`` is the wall time of its whole process where imports and model do not count.
    """

    wall_s: float
    cpu_s: float
    pss_mb: float
    rss_mb: float
    process_s: float | None = None


@dataclass(frozen=True)
class Spread:
    """The middle and the ends of the ratios of all turns."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        if self.least == self.most:
            return f"{self.median:.2f}"
        return f"{self.median:.2f} ({self.least:.2f} to {self.most:.2f})"


@dataclass(frozen=True)
class Runs:
    """One contender's goes in order, and errors and words of its last text, unit by unit."""

    taken: tuple[Taken, ...]
    units: Units = ()

    @property
    def wall_s(self) -> float:
        return statistics.median(go.wall_s for go in self.taken)

    @property
    def cpu_s(self) -> float:
        return statistics.median(go.cpu_s for go in self.taken)

    @property
    def pss_mb(self) -> float:
        return max(go.pss_mb for go in self.taken)

    @property
    def word_error_rate(self) -> float | None:
        """None where the text was not looked at."""
        errors, words = (sum(unit[part] for unit in self.units) for part in (0, 1))
        return errors / words if words else None


@dataclass(frozen=True)
class Trial:
    """What was transcribed, and by whom; ``key`` is its length asked for, or ``MESSAGES``."""

    key: str
    title: str
    audio_s: float
    runs: Mapping[str, Runs]

    def times(self, slower: str, faster: str) -> Spread:
        """How many times the second's wall time the first one's was, turn by turn."""
        each = ratios(self.runs[slower].taken, self.runs[faster].taken)
        return Spread(statistics.median(each), min(each), max(each))

    def is_scaled(self, who: str) -> bool:
        """Whether only a part was measured (``scaled``)."""
        return (self.key, who) == (MESSAGES, "command")

    @property
    def is_large(self) -> bool:
        """Whether there are units enough for an interval of its word error rates."""
        return len(self.runs["daemon"].units) >= UNITS_FOR_AN_INTERVAL

    def errors(self, ours: str, theirs: str) -> Comparison | None:
        """Both on the same units; None where one was not looked at."""
        units = self.runs[ours].units, self.runs[theirs].units
        return compared(*units) if all(units) else None


@dataclass(frozen=True)
class Goal:
    """One line of what must be shown."""

    what: str
    goal: str
    measured: str
    reached: bool


def ratios(over: Sequence[Taken], under: Sequence[Taken]) -> list[float]:
    """Wall times of the same turns. Raises ValueError if one had more turns."""
    return [a.wall_s / b.wall_s for a, b in zip(over, under, strict=True)]


def scaled(measured: Sequence[Taken], count: int) -> Taken:
    """A loop over ``count`` recordings, from those that were measured, one process for each."""
    share = count / len(measured)
    return Taken(
        share * sum(go.wall_s for go in measured),
        share * sum(go.cpu_s for go in measured),
        max(go.pss_mb for go in measured),
        max(go.rss_mb for go in measured),
    )


def units_heard(said: str, heard: str, joined: bool) -> Units:
    """Errors and words of a Russian text, in blocks if it is that of a joined recording."""
    found = aligned(spoken(said, "ru").split(), spoken(heard, "ru").split())
    return tuple(units_of(found.errors, joined))


# --- to read -------------------------------------------------------------------------------------


def rows(trials: Sequence[Trial]) -> list[tuple[str, ...]]:
    """The one table: a row for each contender of each trial, the heading first."""
    heading = ("recording", "by", "wall", "real-time factor", "CPU", "peak PSS", "WER")
    lines: list[tuple[str, ...]] = [
        (*heading, "times the daemon's wall", "daemon's WER less this, points")
    ]
    for trial in trials:
        lines += [_row(trial, who) for who in trial.runs]
    return lines


def _row(trial: Trial, who: str) -> tuple[str, ...]:
    runs = trial.runs[who]
    return (
        trial.title,
        TITLES[who] + (", scaled" if trial.is_scaled(who) else ""),
        f"{runs.wall_s:.2f} s",
        f"{runs.wall_s / trial.audio_s:.4f}",
        f"{runs.cpu_s:.1f} s",
        f"{runs.pss_mb:.0f} MB",
        "-" if runs.word_error_rate is None else f"{runs.word_error_rate:.1%}",
        "" if who == "daemon" else str(trial.times(who, "daemon")),
        "" if who == "daemon" else _points(trial, "daemon", who),
    )


def _points(trial: Trial, ours: str, theirs: str) -> str:
    """How many more words in a hundred are wrong in the first, with the interval if it has one."""
    comparison = trial.errors(ours, theirs)
    if comparison is None:
        return "-"
    value, low, high = (f"{100 * v:+.1f}" for v in asdict(comparison.difference).values())
    return f"{value} ({low} to {high})" if trial.is_large else f"{value} (too few words)"


def goals(trials: Sequence[Trial]) -> list[Goal]:
    """Those that the trials can tell about."""
    found = [goal for trial in trials for goal in (*_speed(trial), *_errors(trial), *_fast(trial))]
    ours = [runs for t in trials for who, runs in t.runs.items() if who in ("daemon", "fast")]
    peak_mb = max(runs.pss_mb for runs in ours)
    what, goal = "peak memory of daemon and worker (PSS)", f"under {MOST_PSS_MB} MB"
    return [*found, Goal(what, goal, f"{peak_mb:.0f} MB", peak_mb < MOST_PSS_MB)]


def _speed(trial: Trial) -> list[Goal]:
    found = []
    if least := TIMES_THE_COMMAND.get(trial.key):
        times = trial.times("command", "daemon")
        what = f"{trial.title}: times faster than the whisperx command"
        found.append(Goal(what, f"at least {least:g}", str(times), times.median >= least))
    if most := SHARE_OF_BATCHED.get(trial.key):
        share = trial.times("daemon", "batched")
        what = f"{trial.title}: part of faster-whisper's batched time"
        found.append(Goal(what, f"at most {most:g}", str(share), share.median <= most))
    return found


def _errors(trial: Trial) -> list[Goal]:
    comparison = trial.errors("daemon", "command") if trial.is_large else None
    if comparison is None:
        return []
    what = f"{trial.title}: word error rate less the whisperx command's, points"
    shown = _points(trial, "daemon", "command")
    return [Goal(what, "no worse: interval not wholly above 0", shown, comparison.no_worse)]


def _fast(trial: Trial) -> list[Goal]:
    comparison = trial.errors("fast", "daemon") if "fast" in trial.runs else None
    if comparison is None:
        return []
    times, points = trial.times("daemon", "fast"), 100 * comparison.difference.value
    what = f"{trial.title}, fast_mode: "
    return [
        Goal(
            f"{what}times faster than without",
            f"at least {FAST_TIMES:g}",
            str(times),
            times.median >= FAST_TIMES,
        ),
        Goal(
            f"{what}word error rate less that without, points",
            f"at most {FAST_POINTS:g}",
            _points(trial, "fast", "daemon"),
            points <= FAST_POINTS,
        ),
    ]


def goal_rows(found: Sequence[Goal]) -> list[tuple[str, ...]]:
    """The table of the goals, the heading first."""
    lines = [
        (goal.what, goal.goal, goal.measured, "yes" if goal.reached else "NO") for goal in found
    ]
    return [("figure", "goal", "measured", "reached"), *lines]


# --- to keep -------------------------------------------------------------------------------------


def as_json(trials: Sequence[Trial], machine: Mapping[str, Any]) -> dict[str, Any]:
    """All figures, each go and each unit too."""
    return {
        "machine": dict(machine),
        "trials": [_trial_json(trial) for trial in trials],
        "goals": [asdict(goal) for goal in goals(trials)],
    }


def _trial_json(trial: Trial) -> dict[str, Any]:
    return {
        "key": trial.key,
        "title": trial.title,
        "audio_s": round(trial.audio_s, 3),
        "runs": {who: _runs_json(trial, who) for who in trial.runs},
    }


def _runs_json(trial: Trial, who: str) -> dict[str, Any]:
    runs = trial.runs[who]
    comparison = trial.errors("daemon", who) if trial.is_large else None
    return {
        "scaled": trial.is_scaled(who),
        "wall_s": runs.wall_s,
        "cpu_s": runs.cpu_s,
        "peak_pss_mb": runs.pss_mb,
        "real_time_factor": runs.wall_s / trial.audio_s,
        "word_error_rate": runs.word_error_rate,
        "times_the_daemon": asdict(trial.times(who, "daemon")),
        "daemons_word_error_rate_less_this": comparison and asdict(comparison.difference),
        "goes": [asdict(go) for go in runs.taken],
        "units": [list(unit) for unit in runs.units],
    }


def draw(trials: Sequence[Trial], target: Path) -> None:
    """Time, memory and errors of all, as an SVG that is the same for the same figures."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 9), layout="constrained")
    time, memory, errors = figure.subplots(3, 1, sharex=True, height_ratios=(2, 1, 1))
    _bars(time, trials, lambda trial, runs: 60 * runs.wall_s / trial.audio_s, "{:.1f}")
    time.set(ylabel="seconds for a minute of speech", yscale="log")
    handles = time.get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=len(TITLES))
    _bars(memory, trials, lambda _, runs: runs.pss_mb, "{:.0f}")
    memory.set(ylabel="peak PSS, MB")
    _bars(errors, trials, lambda _, runs: _percent(runs.word_error_rate), "{:.1f}")
    errors.set(ylabel="word error rate, %")
    errors.set_xticks(range(len(trials)), [trial.title for trial in trials])
    with matplotlib.rc_context({"svg.hashsalt": "bench", "svg.fonttype": "none"}):
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _bars(
    axes: Axes,
    trials: Sequence[Trial],
    figure: Callable[[Trial, Runs], float | None],
    shown: str,
) -> None:
    """A group for each trial, in it a bar for each contender that has the figure."""
    present = [who for who in TITLES if any(who in trial.runs for trial in trials)]
    width = 0.8 / max(1, len(present))
    for place, who in enumerate(present):
        found = [
            (at + (place - (len(present) - 1) / 2) * width, figure(trial, trial.runs[who]))
            for at, trial in enumerate(trials)
            if who in trial.runs
        ]
        known = [(at, value) for at, value in found if value is not None]
        heights = [value for _, value in known]
        bars = axes.bar([at for at, _ in known], heights, 0.95 * width, label=TITLES[who])
        axes.bar_label(bars, [shown.format(value) for value in heights], fontsize=8)
    axes.margins(y=0.2)
