// How loud a recording is when, for the map of it; and waiting for what the service makes on request.

import * as api from "/static/api.js";

const POINTS = 4000; // more than a map has steps
const LONGEST_WAIT_S = 5;

/** A pause that ends early, with false, when nobody needs what is waited for. */
function pause(seconds, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false);
    const timer = setTimeout(() => resolve(true), seconds * 1000);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(false); }, { once: true });
  });
}

/** Where the sound is once it is there: `{ source }`; or why not: `{ broken }`, a key of words; or `{}`
    while the service is away. `failed` is the address that the browser could not play. */
export async function findSound(name, failed, onPreparing, signal) {
  const copy = api.soundOf(name, true);
  let address = failed, wasMade = false;
  for (;;) {
    const found = await api.look(address, signal);
    if (found.status === 202) {
      wasMade = true;
      onPreparing(found.percentage);
      if (!(await pause(found.after, signal))) return {};
    } else if (found.status === 200 || found.status === 206) {
      if (wasMade || address !== failed) return { source: address };
      if (address === copy) return { broken: "notPlayable" };
      address = copy; // the browser does not know what is inside
    } else if (found.status === 404) return { broken: "noSound" };
    else if (found.status === 415) return { broken: "notPlayable" };
    else return found.status === 503 ? { later: true } : {};
  }
}

/** The peaks of a recording, `{ values, perSecond }`; null if there are none. Waits until they are made. */
export async function peaksOf(name, signal) {
  let wait = 0;
  while (await pause(wait, signal)) {
    if (document.hidden) { wait = LONGEST_WAIT_S; continue; }
    let response;
    try {
      response = await fetch(api.peaksOf(name, POINTS), { signal });
      if (response.status === 200)
        return { values: new Uint8Array(await response.arrayBuffer()), perSecond: Number(response.headers.get("X-Peaks-Per-Second")) };
    } catch { return null; }
    if (response.status !== 202) return null;
    wait = Math.min(LONGEST_WAIT_S, wait + Number(response.headers.get("Retry-After")) || 1);
  }
  return null;
}

/** How high each step of a map is, 0 to 1: as the mean of its peaks, of which the highest would be much
    the same everywhere. What is quiet is raised, so that a voice far from the microphone can be seen. */
export function heightsOf({ values, perSecond }, steps, duration) {
  const heights = new Float32Array(steps), perStep = (duration * perSecond) / steps;
  for (let step = 0; step < steps; step++) {
    const from = Math.floor(step * perStep), to = Math.min(values.length, Math.ceil((step + 1) * perStep));
    let sum = 0;
    for (let at = from; at < to; at++) sum += values[at];
    heights[step] = to > from ? sum / (to - from) : 0;
  }
  const full = Math.max(6, Float32Array.from(heights).sort()[Math.floor(steps * 0.98)] ?? 0);
  return heights.map((height) => Math.min(1, height / full) ** 0.7);
}
