"""What Deepgram's client for live sound is told. Arguments: WebSocket address, file of sound."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

from deepgram import DeepgramClient
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment

PIECE_BYTES = 3200


def main() -> None:
    address, path = sys.argv[1:]
    here = DeepgramClientEnvironment(
        base=address.replace("ws", "http", 1), production=address, agent=address, agent_rest=address
    )
    client = DeepgramClient(api_key="secret", environment=here)
    told: list[dict[str, Any]] = []
    asked = {
        "model": "nova-3", "language": "ru", "encoding": "linear16", "sample_rate": 16000,
        "interim_results": True, "vad_events": True, "endpointing": 300, "utterance_end_ms": 1000,
        "keyterm": ["Ромашкин", "Вектор-М"],
    }  # fmt: skip
    with client.listen.v1.connect(**asked) as connection:
        connection.on(EventType.MESSAGE, lambda message: told.append(message.dict()))
        thread = threading.Thread(target=connection.start_listening)
        thread.start()
        data = Path(path).read_bytes()
        for start in range(0, len(data), PIECE_BYTES):
            connection.send_media(data[start : start + PIECE_BYTES])
        connection.send_keep_alive()
        connection.send_finalize()
        connection.send_close_stream()
        thread.join(60)
    print(json.dumps(told, default=str))


main()
