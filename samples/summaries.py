"""A function for the workers of the queue of docs/handover.md; it needs nothing of this program.

rq worker --url redis://localhost:6379/0 --path samples transcripts
"""

import json
import os
from pathlib import Path

DONE = Path(os.environ.get("SUMMARIES", "summaries"))


def summarize(message: dict) -> str:
    """Called for each finished transcript, at least once; it counts the words."""
    done = DONE / f"{message['job_id']}.txt"
    if done.exists():
        return "done before"
    text = message["text"]
    if text is None:  # over 256 KB
        result = Path(os.environ["SHARED_DIRECTORY"], message["result_path"])
        text = json.loads(result.read_text("utf-8"))["transcription"]["text"]
    DONE.mkdir(parents=True, exist_ok=True)
    part = DONE / f"{message['job_id']}.{os.getpid()}.part"
    part.write_text(f"{message['name']}: {len(text.split())} words\n", "utf-8")
    part.replace(done)
    return "done"
