// What was typed and is not stored yet, also after the browser was closed: {id: {base, typed, tab, at}} for each recording.

const KEPT = "transcriber.unsent.", TAB = "transcriber.tab";
/** What a window that still lives typed is its own to store; after so long it does not live. */
const OTHERS_MS = 60_000;

const tab = sessionStorage.getItem(TAB) ?? `${Math.random()}`;
sessionStorage.setItem(TAB, tab);

function read(name) {
  try {
    return JSON.parse(localStorage.getItem(KEPT + name)) ?? {};
  } catch {
    return {};
  }
}

function write(name, all) {
  try {
    if (Object.keys(all).length) localStorage.setItem(KEPT + name, JSON.stringify(all));
    else localStorage.removeItem(KEPT + name);
  } catch { /* no room: it is stored by the service a second later */ }
}

/** Keep what was typed in a segment whose text was `base`. */
export const keep = (name, id, base, typed) => write(name, { ...read(name), [id]: { base, typed, tab, at: Date.now() } });

/** Forget it; with `typed` only if nothing else was typed since. */
export function forget(name, id, typed) {
  const { [id]: found, ...others } = read(name);
  if (found && (typed === undefined || found.typed === typed)) write(name, others);
}

/** What this window left, or one that lives no more: [[id, {base, typed}]]. */
export const left = (name) => Object.entries(read(name)).filter(([, draft]) => draft.tab === tab || !(Date.now() - draft.at < OTHERS_MS));
