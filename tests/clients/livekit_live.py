"""LiveKit's realtime speech to text by OpenAI's interface. Arguments: base URL, key, raw sound,
how many words are expected."""

import asyncio
import json
import sys
from pathlib import Path

from livekit import rtc
from livekit.agents import stt, utils
from livekit.plugins import openai

RATE = 24_000
STEP = RATE // 10


async def main() -> None:
    base_url, key, path, words = sys.argv[1:]
    data = Path(path).read_bytes()
    told, texts = [], []
    async with utils.http_context.open():
        made = openai.STT(
            base_url=base_url, api_key=key, model="gpt-4o-transcribe", language="ru",
            prompt="сервер", use_realtime=True,
        )  # fmt: skip
        stream = made.stream()
        for start in range(0, len(data), 2 * STEP):
            piece = data[start : start + 2 * STEP]
            stream.push_frame(rtc.AudioFrame(piece, RATE, 1, len(piece) // 2))
        async with asyncio.timeout(60):
            async for event in stream:
                told.append(event.type.value)
                if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                    texts.append(event.alternatives[0].text)
                if len(" ".join(texts).split()) >= int(words):
                    break
        await stream.aclose()
        await made.aclose()
    print(json.dumps({"texts": texts, "told": sorted(set(told))}))


asyncio.run(main())
