"""A Wyoming client, as Home Assistant is one: what the bridge hears. Arguments: its port, model."""

import asyncio
import json
import sys

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info

SHAPE = {"rate": 16_000, "width": 2, "channels": 1}


async def main() -> None:
    port, model = int(sys.argv[1]), sys.argv[2]
    async with AsyncTcpClient("127.0.0.1", port) as client:
        await client.write_event(Describe().event())
        while not Info.is_type((event := await client.read_event()).type):
            pass
        models = [each.name for asr in Info.from_event(event).asr for each in asr.models]
        await client.write_event(Transcribe(name=model, language="ru").event())
        await client.write_event(AudioStart(**SHAPE).event())
        for n in range(10):
            sound = bytes(range(n, n + 200)) * 16
            await client.write_event(AudioChunk(audio=sound, **SHAPE).event())
        await client.write_event(AudioStop().event())
        while not Transcript.is_type((event := await client.read_event()).type):
            pass
        print(json.dumps({"models": models, "text": Transcript.from_event(event).text}))


asyncio.run(main())
