"""faster-whisper's batched pipeline on one recording, in a process of its own.

    python -m benchmarks.batched WEIGHTS RECORDING

What people take for the floor of this engine: the pipeline alone, which decodes the file and finds
speech itself, with word times, int8, beam 5, batches of 4 and two threads. Prints one line of JSON:
the text, and the seconds of wall and CPU time from the moment the model is loaded.
"""

from __future__ import annotations

import json
import sys
import time

BATCH_SIZE = 4
THREADS = 2


def main() -> None:
    """Transcribe and print."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    weights, recording = sys.argv[1:]
    model = WhisperModel(weights, device="cpu", compute_type="int8", cpu_threads=THREADS)
    pipeline = BatchedInferencePipeline(model)
    began, cpu_began = time.monotonic(), time.process_time()
    segments, _ = pipeline.transcribe(
        recording,
        language="ru",
        beam_size=5,
        batch_size=BATCH_SIZE,
        temperature=0.0,
        word_timestamps=True,
    )
    # The segments are made while they are asked for.
    text = " ".join(segment.text.strip() for segment in segments)
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu_began
    print(json.dumps({"text": text, "seconds": seconds, "cpu_seconds": cpu_seconds}))


if __name__ == "__main__":
    main()
