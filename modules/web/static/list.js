// The list at the left: every recording, with what happens to it in words.

import { html } from "/static/vendor/htm-3.1.1/standalone.module.js";
import { linkTo, titleOf } from "/static/names.js";
import { byRecording, Workers } from "/static/workers.js";
import { about, clock, dayOf, languageNow, say } from "/static/words.js";

const OPEN = new Set(["processing", "queued", "pending"]);
const FAILED = new Set(["manual", "error"]);
// The service counts no further.
const MANY = 500;

export function Bar({ percent, label }) {
  return html`<span class="bar" role="progressbar" aria-label=${label} aria-valuenow=${percent} aria-valuemin="0" aria-valuemax="100">
    <svg aria-hidden="true"><rect width=${`${percent}%`} height="100%" /></svg></span>`;
}

/** What is said of a recording that is not done: "47 % · 2 min left". */
export function progressOf(task) {
  const left = task.eta_seconds;
  if (task.state === "processing") {
    const parts = task.stage === "loading_model" ? [say("loading")] : [`${task.percentage ?? 0} %`];
    if (left) parts.push(say("left", { time: about(left) }));
    return parts.join(" · ");
  }
  const parts = [];
  if (task.position_seconds > 1) parts.push(say("goesOn", { at: clock(task.position_seconds) }));
  else if (task.queue_position === 0 || task.queue_position === 1) parts.push(say("next"));
  else if (task.queue_position) parts.push(say("ahead", { n: task.queue_position }));
  else parts.push(say("waits"));
  if (left) parts.push(say("ready", { time: about(left) }));
  return parts.join(" · ");
}

function Facts({ task, worker }) {
  if (task.state === "processing") return html`<${Bar} percent=${task.percentage ?? 0} label=${task.filename} /><span>${progressOf(task)}</span>${worker && html`<span class="on">${say("onWorker", worker)}</span>`}`;
  if (OPEN.has(task.state)) return progressOf(task);
  if (FAILED.has(task.state)) return html`<span class="tag bad">${say("failedTag")}</span>${task.error && html`<span class="why">${task.error}</span>`}`;
  if (task.state === "ignored") return say("ignoredTag");
  if (task.state === "skipped") return say("skippedTag");
  const facts = task.duration_seconds === null ? [] : [about(task.duration_seconds)];
  if (task.speaker_count > 1) facts.push(say("voices", { n: task.speaker_count }));
  return html`${facts.join(" · ")}${task.flagged_seconds >= 1 && html` <span class="tag doubt">${say("doubtfulTag", { time: about(task.flagged_seconds) })}</span>`}`;
}

function Item({ task, current, worker }) {
  const folder = task.filename.slice(0, task.filename.lastIndexOf("/") + 1);
  return html`<li><a class="item" href=${linkTo(task.filename)} aria-current=${current ? "page" : null}>
    <div class="n" title=${task.filename}>${task.filename.slice(folder.length)}</div>
    <div class="m">${folder && html`<span>${folder.slice(0, -1)}</span>`}<${Facts} task=${task} worker=${worker} /></div></a></li>`;
}

function groupOf(task) {
  if (OPEN.has(task.state)) return say("now");
  if (FAILED.has(task.state)) return say("failedGroup");
  if (task.state === "ignored") return say("ignoredGroup");
  if (task.state === "skipped") return say("skippedGroup");
  return task.when ? dayOf(task.when) : "";
}

function grouped(tasks) {
  const groups = new Map();
  for (const task of tasks) {
    const group = groupOf(task);
    groups.set(group, [...(groups.get(group) ?? []), task]);
  }
  // Those that need somebody stand right below those that are being done.
  const order = [say("now"), say("failedGroup")], last = [say("skippedGroup"), say("ignoredGroup")];
  const rank = (group) => (order.includes(group) ? order.indexOf(group) : last.includes(group) ? 98 + last.indexOf(group) : 2);
  return [...groups].sort(([a], [b]) => rank(a) - rank(b));
}

const BEFORE = 40, SNIPPET = 180; // characters

/** The words around the first mark, as [text, whether it is marked]. Marks count code points. */
export function snippet(text, marks) {
  const chars = Array.from(text), part = (from, to) => chars.slice(from, to).join("");
  let first = Math.max(0, (marks[0]?.[0] ?? 0) - BEFORE);
  if (first > 0) first = 1 + chars.indexOf(" ", first) || first;
  first = Math.min(first, marks[0]?.[0] ?? 0);
  let last = Math.min(chars.length, first + SNIPPET);
  const blank = chars.lastIndexOf(" ", last);
  if (last < chars.length && blank > (marks[0]?.[1] ?? first)) last = blank;
  const pieces = [[first > 0 ? "… " : "", false]];
  let at = first;
  for (const [from, to] of marks) {
    if (from < at || to > last) continue;
    pieces.push([part(at, from), false], [part(from, to), true]);
    at = to;
  }
  pieces.push([part(at, last) + (last < chars.length ? " …" : ""), false]);
  return pieces.filter(([piece]) => piece);
}

function Hit({ hit, isFirst }) {
  const title = titleOf(hit.filename);
  // A second click on the same one leads there again.
  const again = (event) => event.currentTarget.hash === location.hash && dispatchEvent(new HashChangeEvent("hashchange"));
  return html`<li><a class="item hit" href=${linkTo(hit.filename, hit.start)} onClick=${again}>
    <div class=${isFirst ? "n" : "hidden"} title=${hit.filename}>${title}</div>
    <div class="said"><span class="at">${clock(hit.start)}</span> ${snippet(hit.text, hit.marks).map(([piece, isMarked]) => (isMarked ? html`<mark>${piece}</mark>` : piece))}</div></a></li>`;
}

/** What was said in the recordings, below those that have such a name. */
function Texts({ found }) {
  const { hits, total, pending } = found;
  return html`<section>
    ${hits.length > 0 && html`<h2 class="group">${say("inTexts")}</h2>
      <ul>${hits.map((hit, n) => html`<${Hit} key=${`${hit.filename} ${hit.start}`} hit=${hit} isFirst=${hits[n - 1]?.filename !== hit.filename} />`)}</ul>`}
    ${total > hits.length && hits.length > 0 && html`<p class="note">${say(total < MANY ? "moreHits" : "manyHits", { n: total })}</p>`}
    ${pending > 0 && html`<p class="note">${say("pending", { n: pending })}</p>`}
  </section>`;
}

function Uploads({ uploads, onDismiss }) {
  return html`<div class="uploads">${uploads.map(
    (upload) => html`<div class="item" key=${upload.id}><div class="n">${upload.name}</div><div class="m">${
      upload.failed
        ? html`<span class="bad-text">${say("uploadFailed", { why: upload.failed })}</span>`
        : upload.left
          ? html`<span>${say("uploadLeft")}</span>`
          : html`<${Bar} percent=${upload.percent} label=${upload.name} /><span role="status">${say(!upload.waits ? "uploading" : upload.why ? "uploadHeld" : "uploadWaits", upload)}</span>`
    } <button class="tool" aria-label=${`${say(upload.failed ? "dismiss" : "cancel")}: ${upload.name}`} onClick=${() => onDismiss(upload.id)}>${say(upload.failed ? "dismiss" : "cancel")}</button></div></div>`,
  )}</div>`;
}

export function Side({ state, actions }) {
  const { tasks, total, paused, current, contains, found, searching, uploads, over, dark, loaded, loggedIn, offersLive, live, speaking, workers } = state;
  const full = state.limit >= 500, by = byRecording(workers ?? []);
  return html`<nav class="side" aria-label=${say("list")}>
    <div class="brand">
      <svg width="22" height="22" viewBox="0 0 22 22" aria-hidden="true"><g fill="var(--accent)"><rect x="1" y="8" width="3" height="6" rx="1.5" /><rect x="6" y="3" width="3" height="16" rx="1.5" /><rect x="11" y="6" width="3" height="10" rx="1.5" /><rect x="16" y="9" width="5" height="2" rx="1" /><rect x="16" y="12.5" width="4" height="2" rx="1" /></g></svg>
      <b>${say("title")}</b>
      <span class="tools">
        <button class="tool" lang=${languageNow() === "en" ? "ru" : "en"} aria-label=${say("language")} onClick=${actions.otherLanguage}>${say("languageCode")}</button>
        <button class="tool" aria-label=${say(dark ? "themeLight" : "themeDark")} onClick=${actions.otherTheme}>${dark ? "☀" : "☾"}</button>
        <button class="tool" aria-label=${say("keys")} onClick=${actions.showKeys}>?</button>
        ${loggedIn && html`<button class="tool" onClick=${actions.logout}>${say("logout")}</button>`}
      </span>
    </div>
    <div class="search"><input id="search" type="search" placeholder=${say("search")} maxlength="200" aria-label=${say("search")} value=${contains} onInput=${(event) => actions.find(event.target.value)} /></div>
    <button class=${over ? "drop over" : "drop"} onClick=${actions.choose}><b>${say("choose")}</b>${say("orDrop")}</button>
    ${offersLive && html`<a class=${speaking ? "speak on" : "speak"} href="#live" aria-current=${speaking ? "page" : null}>${live && !live.isOver ? html`<b>${say("liveRow")}</b> <span class="time">${clock(live.seconds)}</span>` : html`<b>${say("speak")}</b>`}</a>`}
    <${Uploads} uploads=${uploads} onDismiss=${actions.dismiss} />
    <div class="list">
      ${!loaded && html`<p class="note">${say("loadingList")}</p>`}
      <p class="hidden" role="status">${found && say("hitCount", { n: found.hits.length })}</p>
      ${loaded && contains && !tasks.length && !searching && !found?.hits.length && html`<p class="note">${say(found ? "nothingFound" : "noRecordings")}</p>`}
      ${paused && html`<p class="note">${say("pausedNote")} <button class="tool" onClick=${actions.resume}>${say("resume")}</button></p>`}
      ${grouped(tasks).map(
        ([group, members]) => html`<section key=${group}>
          <h2 class="group">${group}${group === say("now") && !paused && html`<button class="tool" onClick=${actions.pause}>${say("pause")}</button>`}</h2>
          <ul>${members.map((task) => html`<${Item} key=${`${task.state === "manual"} ${task.filename}`} task=${task} current=${task.filename === current} worker=${task.state === "processing" ? by.get(task.filename) : null} />`)}</ul>
        </section>`,
      )}
      ${total > tasks.length && (full ? html`<p class="note">${say("tooMany", { n: total - tasks.length })}</p>` : html`<button class="btn" onClick=${actions.more}>${say("more")}</button>`)}
      ${found && html`<${Texts} found=${found} />`}
    </div>
    ${workers && html`<${Workers} workers=${workers} />`}
  </nav>`;
}
