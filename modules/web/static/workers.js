// Who transcribes, below the list; only where there may be more than the worker of the service's machine.

import { html } from "/static/vendor/htm-3.1.1/standalone.module.js";
import { linkTo, titleOf } from "/static/names.js";
import { dayOf, say, timeOf } from "/static/words.js";

// What is counted in the line, in this order; whoever does nothing needs no word.
const COUNTED = { transcribing: "workersBusy", starting: "workersStarting", loading: "workersStarting", held: "workersHeld", lost: "workersLost" };
const STATES = { off: "workerOff", starting: "workerStarting", loading: "workerLoading", waiting: "workerWaiting", transcribing: "workerTranscribing", live: "workerLive", held: "workerHeld", lost: "workerLost" };
const WRONG = new Set(["held", "lost"]);

/** "14:03", or with its day. */
export function momentOf(iso) {
  const day = dayOf(iso, true);
  return day === dayOf(new Date().toISOString(), true) ? timeOf(iso) : `${day} ${timeOf(iso)}`;
}

/** "3 workers: 2 busy, 1 lost (node-b, since 14:03)". */
export function lineOf(workers) {
  if (!workers.length) return say("workersNone");
  const counts = new Map();
  for (const key of Object.values(COUNTED)) counts.set(key, 0);
  for (const { state } of workers) if (COUNTED[state]) counts.set(COUNTED[state], counts.get(COUNTED[state]) + 1);
  const wrong = workers.filter(({ state }) => WRONG.has(state));
  const parts = [...counts].filter(([, n]) => n).map(([key, n]) => say(key, { n }));
  const which = wrong.length === 1 ? ` (${say("workersWhich", { name: wrong[0].name, time: momentOf(wrong[0].since) })})` : "";
  return `${say("workers", { n: workers.length })}${parts.length ? `: ${parts.join(", ")}${which}` : ""}`;
}

function Does({ worker }) {
  if (worker.filename) return html`<div><a href=${linkTo(worker.filename)} title=${worker.filename}>${titleOf(worker.filename)}</a></div>`;
  return worker.problem && html`<div>${worker.problem}</div>`;
}

/** "cpu · base · lost since 14:03", the last part in red. */
function About({ worker }) {
  const facts = [worker.device, worker.model?.replace(/^faster-whisper-/, "")].filter(Boolean);
  const state = `${say(STATES[worker.state])} ${say("since", { time: momentOf(worker.since) })}`;
  return html`${facts.map((fact) => `${fact} · `)}<span class=${WRONG.has(worker.state) ? "bad-text" : null}>${state}</span>`;
}

export function Workers({ workers }) {
  return html`<details class="workers"><summary class=${!workers.length || workers.some(({ state }) => WRONG.has(state)) ? "doubt-text" : null}>${lineOf(workers)}</summary>
    <ul>${workers.map((worker) => html`<li key=${worker.name}><b>${worker.name}</b> <${About} worker=${worker} /><${Does} worker=${worker} /></li>`)}</ul></details>`;
}

/** By the name of a recording, the worker that has it in hand. */
export const byRecording = (workers) => new Map(workers.filter(({ filename }) => filename).map((worker) => [worker.filename, worker]));
