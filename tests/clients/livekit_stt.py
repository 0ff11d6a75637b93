"""LiveKit's speech to text by OpenAI's interface: what it hears. Arguments: base URL, models."""

import asyncio
import json
import sys

from livekit import rtc
from livekit.plugins import openai


async def heard(base_url: str, model: str) -> dict[str, str]:
    """A second of a tone as LiveKit sends it."""
    stt = openai.STT(base_url=base_url, api_key="none", model=model, language="ru")
    samples = b"".join(
        (1000 if n // 20 % 2 else -1000).to_bytes(2, "little", signed=True) for n in range(16_000)
    )
    frame = rtc.AudioFrame(samples, sample_rate=16_000, num_channels=1, samples_per_channel=16_000)
    event = await stt.recognize([frame])
    await stt.aclose()
    best = event.alternatives[0]
    return {"text": best.text, "language": str(best.language), "type": str(event.type)}


async def main() -> None:
    base_url, *models = sys.argv[1:]
    print(json.dumps({model: await heard(base_url, model) for model in models}))


asyncio.run(main())
