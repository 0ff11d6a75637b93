"""From encoded audio to tokens: prompts, options, and further tries at higher temperatures."""

from __future__ import annotations

import math
import re
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ctranslate2
from faster_whisper.tokenizer import Tokenizer

from modules.audio.chunking import MAX_CHUNK_S, SAMPLE_RATE, AudioChunk, is_divisible
from modules.config.settings import TranscriptionSettings
from modules.engines.base import Progress
from modules.engines.whisperx.model import Model
from modules.transcript import quality
from modules.transcript.quality import DecodingScores

#: At temperatures above 0, this many samples are drawn and the likeliest is kept.
_BEST_OF = 5
#: Of Whisper's memory of 448 tokens prompt and hotwords may take this many; as in Whisper itself.
_PROMPT_TOKENS = 223
#: What ``suppress_numerals`` suppresses, as in whisperx.
_NUMERAL = re.compile(r"[0-9%$£]")
#: A shorter chunk whose text repeats itself is not divided, but tried at other temperatures.
_PART_S = 4.0
#: The most that speech can need: fast Russian, which Whisper spells in many tokens, has about 12.
TOKENS_PER_S, TOKENS_AT_LEAST = 20, 30


@dataclass(frozen=True)
class Generated:
    """A chunk's text tokens, without control tokens, and Whisper's scores for them."""

    tokens: list[int]
    scores: DecodingScores


class Decoder:
    """Generates tokens with a model. ``generate`` may be called from several threads at once."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._sampling = threading.Lock()

    def generate(
        self,
        chunks: Sequence[AudioChunk],
        encoded: Any,
        tokenizer: Tokenizer,
        settings: TranscriptionSettings,
        progress: Progress,
    ) -> list[Generated]:
        """Decode each chunk; a doubtful text is decoded again at higher temperatures."""
        first = settings.temperature
        prompt = self._prompt(tokenizer, settings)
        options = self._options(settings, prompt, chunks)
        if first == 0:
            results = self._model.whisper.model.generate(
                encoded, [prompt] * len(chunks), beam_size=settings.beam_size, **options
            )
        else:
            results = [
                self._sampled(
                    chunk, self._model.encoded_alone(chunk, encoded, i), prompt, first, options
                )
                for i, chunk in enumerate(chunks)
            ]
        generated = [_generated(tokenizer, result, prompt, first, options) for result in results]
        for i, (chunk, one) in enumerate(zip(chunks, generated, strict=True)):
            if one.scores.should_retry and not should_divide(chunk, one.scores):
                alone = self._model.encoded_alone(chunk, encoded, i)
                generated[i] = self._retried(chunk, alone, one, tokenizer, settings, progress)
        return generated

    def greedy(
        self, chunk: AudioChunk, encoded: Any, tokenizer: Tokenizer, settings: TranscriptionSettings
    ) -> Generated:
        """The likeliest token each time, once, with no prompt but the hotwords."""
        prompt = self._prompt(tokenizer, settings.model_copy(update={"initial_prompt": None}))
        options = self._options(settings, prompt, [chunk])
        result = self._model.whisper.model.generate(encoded, [prompt], beam_size=1, **options)[0]
        return _generated(tokenizer, result, prompt, 0.0, options)

    def _retried(
        self,
        chunk: AudioChunk,
        encoded: Any,
        doubtful: Generated,
        tokenizer: Tokenizer,
        settings: TranscriptionSettings,
        progress: Progress,
    ) -> Generated:
        """The text at the first temperature where it is not doubtful; else the best of all."""
        # A prompt takes room that a long text needs, and can itself be what is repeated.
        bare = settings.model_copy(update={"initial_prompt": None, "hotwords": None})
        prompt = self._prompt(tokenizer, bare if doubtful.scores.repeats_itself else settings)
        options = self._options(settings, prompt, [chunk])
        tried = [doubtful]
        for temperature in quality.temperatures(doubtful.scores):
            progress()
            try:
                result = self._sampled(chunk, encoded, prompt, temperature, options)
            except (RuntimeError, MemoryError, OSError, ValueError):
                break  # no room for a second model; the doubtful text is better than none
            tried.append(_generated(tokenizer, result, prompt, temperature, options))
            if not (tried[-1].scores.repeats_itself or tried[-1].scores.unsure):
                return tried[-1]
        return tried[quality.best([one.scores for one in tried])]

    def _sampled(
        self,
        chunk: AudioChunk,
        encoded: Any,
        prompt: list[int],
        temperature: float,
        options: dict[str, Any],
    ) -> Any:
        """Sampling that can be repeated: the seed depends on the chunk's own samples.

        CTranslate2 seeds a generator once per thread of its pool, so a repeatable draw needs a
        pool of its own; loading one costs 0.35 s for Whisper base.
        """
        with self._sampling:
            ctranslate2.set_random_seed(zlib.crc32(chunk.samples.tobytes()) or 1)
            fresh = self._model.fresh()
            return fresh.model.generate(
                encoded,
                [prompt],
                beam_size=1,
                num_hypotheses=_BEST_OF,
                sampling_topk=0,
                sampling_temperature=temperature,
                **options,
            )[0]

    def _prompt(self, tokenizer: Tokenizer, settings: TranscriptionSettings) -> list[int]:
        """The tokens before the text: hotwords, the end of ``initial_prompt``, the task."""
        hot = _plain_tokens(tokenizer, settings.hotwords)[: _PROMPT_TOKENS // 2]
        room = _PROMPT_TOKENS - len(hot)
        previous = hot + _plain_tokens(tokenizer, settings.initial_prompt)[-room:]
        return list(self._model.whisper.get_prompt(tokenizer, previous, without_timestamps=True))

    @cached_property
    def _numerals(self) -> list[int]:
        """Tokens with digits or currency signs in them."""
        tokenizer = self._model.tokenizer("en", "transcribe")
        return [t for t in range(tokenizer.eot) if _NUMERAL.search(tokenizer.decode([t]))]

    def _options(
        self, settings: TranscriptionSettings, prompt: list[int], chunks: Sequence[AudioChunk]
    ) -> dict[str, Any]:
        # -1 stands for what the model's own configuration suppresses.
        suppressed = [-1, *(self._numerals if settings.suppress_numerals else ())]
        seconds = len(chunks[0].samples) / SAMPLE_RATE
        if self._model.on_gpu:
            seconds = MAX_CHUNK_S  # or a text would depend on what else is in its batch
        # Speech needs no more; a text that repeats itself would fill all of the model's memory.
        most = int(TOKENS_PER_S * seconds) + TOKENS_AT_LEAST
        return {
            # CTranslate2 gives the text half of it, or what the prompt leaves.
            "max_length": min(self._model.whisper.max_length, max(2 * most, len(prompt) + most)),
            "suppress_blank": True,
            "suppress_tokens": suppressed,
            "return_scores": True,
            "return_no_speech_prob": True,
        }


def should_divide(chunk: AudioChunk, scores: DecodingScores) -> bool:
    """Whether to transcribe a chunk in two parts: its text was too long, or repeats itself."""
    long = len(chunk.samples) >= 2 * _PART_S * SAMPLE_RATE
    return scores.overflows or (scores.repeats_itself and long) if is_divisible(chunk) else False


def _generated(
    tokenizer: Tokenizer,
    result: Any,
    prompt: list[int],
    temperature: float,
    options: dict[str, Any],
) -> Generated:
    """From CTranslate2's result, whose sequences contain neither the prompt nor the end."""
    row = result.sequences_ids[0]
    room = min(options["max_length"] // 2, options["max_length"] - len(prompt))
    tokens = [token for token in row if token < tokenizer.eot]
    # As in faster-whisper: the sum, over the tokens and the end that follows them.
    average = float(result.scores[0]) * len(row) / (len(row) + 1)
    silence = min(1.0, max(0.0, float(result.no_speech_prob)))
    scores = DecodingScores(
        text=tokenizer.decode(tokens),
        temperature=temperature,
        avg_logprob=_finite(average),
        no_speech_prob=_finite(silence),
        truncated=len(row) >= room,
    )
    return Generated(tokens, scores)


def _plain_tokens(tokenizer: Tokenizer, text: str | None) -> list[int]:
    """Control tokens that a user wrote in the text are left out; they would derail the decoder."""
    text = (text or "").strip()
    return [t for t in tokenizer.encode(f" {text}") if t < tokenizer.eot] if text else []


def _finite(number: float) -> float | None:
    return round(number, 4) if math.isfinite(number) else None
