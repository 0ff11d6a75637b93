// OpenAI's client for Node: what it gets for a recording, as JSON. Arguments: base URL, file.
import fs from "node:fs";
import OpenAI, { toFile } from "openai";

const [baseURL, path] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0, timeout: 60_000 });
const heard = (options) =>
  client.audio.transcriptions.create({ file: fs.createReadStream(path), model: "gpt-4o-mini-transcribe", ...options });

const found = { models: [], deltas: [] };
for await (const model of client.models.list()) found.models.push(model.id);
found.model = (await client.models.retrieve(found.models[1])).id;
found.json = (await heard({})).text;
found.text = await heard({ response_format: "text" });
found.srt = await heard({ response_format: "srt" });
const verbose = await heard({ model: "whisper-1", response_format: "verbose_json", timestamp_granularities: ["word", "segment"] });
found.verbose = { text: verbose.text, duration: verbose.duration, words: verbose.words.length, segments: verbose.segments.length };
const diarized = await heard({ model: "gpt-4o-transcribe-diarize", response_format: "diarized_json", chunking_strategy: "auto" });
found.speakers = diarized.segments.map((segment) => segment.speaker);
for await (const event of await heard({ stream: true, include: ["logprobs"] })) {
  if (event.type === "transcript.text.delta") found.deltas.push(event.delta);
  if (event.type === "transcript.text.done") found.done = event.text;
}
const bytes = await toFile(fs.readFileSync(path), "talk.mp3");
found.translation = (await client.audio.translations.create({ file: bytes, model: "whisper-1" })).text;
try {
  await heard({ file: await toFile(Buffer.from("no sound"), "notes.txt") });
} catch (error) {
  found.refused = { status: error.status, code: error.code, isApiError: error instanceof OpenAI.APIError };
}
console.log(JSON.stringify(found));
