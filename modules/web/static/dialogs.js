// What is asked while a text is corrected: who speaks, what to replace, whose version stays.

import { Component, html } from "/static/vendor/htm-3.1.1/standalone.module.js";
import { say } from "/static/words.js";

export const opened = (dialog) => dialog && !dialog.open && dialog.showModal();
const closed = (event) => event.target.closest("dialog").close();

/** The name of a voice, everywhere or in one place. */
export function SpeakerDialog({ asked, names, onName, onClose }) {
  const submit = (event) => {
    event.preventDefault();
    const name = new FormData(event.target).get("speaker").trim().replace(/\s+/g, " ");
    if (name) onName(name, event.submitter?.value === "here");
    event.target.closest("dialog").close();
  };
  return html`<dialog ref=${opened} aria-labelledby="who" onClose=${onClose}><form onSubmit=${submit}><h2 id="who">${say("speakerAsk", { name: asked.name })}</h2>
    <label class="field">${say("speakerName")}<input id="speaker" name="speaker" defaultValue=${asked.name} list="speakers" maxlength="80" required autofocus onFocus=${(event) => event.target.select()} /></label>
    <datalist id="speakers">${names.filter((name) => name !== asked.name).map((name) => html`<option value=${name}></option>`)}</datalist>
    <p class="hint">${say("speakerHint")}</p>
    <div class="row"><button type="button" class="btn" onClick=${closed}>${say("cancel")}</button><button class="btn" value="here">${say("speakerHere")}</button><button class="btn primary" value="all">${say("speakerAll")}</button></div></form></dialog>`;
}

/** Find and replace. */
export class ReplaceDialog extends Component {
  constructor() {
    super();
    this.state = { find: "", by: "", matchCase: false, done: null };
  }

  async submit(event) {
    event.preventDefault();
    const { find, by, matchCase } = this.state, n = this.props.count(find, matchCase);
    if (!n) return;
    this.setState({ done: await this.props.onReplace(find, by, matchCase) });
  }

  render({ count, onClose }, { find, by, matchCase, done }) {
    const n = count(find, matchCase), set = (key) => (event) => this.setState({ [key]: event.target.value, done: null });
    const found = done !== null ? say("replaced", { n: done }) : find ? say("foundPlaces", { n }) : "";
    return html`<dialog ref=${opened} aria-labelledby="replace" onClose=${onClose}><form onSubmit=${(event) => this.submit(event)}><h2 id="replace">${say("replaceTitle")}</h2>
      <label class="field">${say("find")}<input name="find" value=${find} onInput=${set("find")} maxlength="200" required autofocus /></label>
      <label class="field">${say("replaceBy")}<input name="by" value=${by} onInput=${set("by")} maxlength="200" /></label>
      <label class="tick"><input type="checkbox" checked=${matchCase} onChange=${(event) => this.setState({ matchCase: event.target.checked, done: null })} /> ${say("matchCase")}</label>
      <p class="hint" role="status">${found}</p>
      <div class="row"><button type="button" class="btn" onClick=${closed}>${say("close")}</button><button class="btn primary" disabled=${!n || done !== null}>${say("replaceAll")}</button></div></form></dialog>`;
  }
}

/** Two people corrected one passage: both texts, and the choice. */
export function Conflict({ conflict, onMine, onTheirs }) {
  return html`<section class="strip conflict" role="alert"><b>${say(conflict.gone ? "conflictGone" : "conflict")}</b>
    <dl><dt>${say("mine")}</dt><dd>${conflict.mine || "—"}</dd>${!conflict.gone && html`<dt>${say("theirs")}</dt><dd>${conflict.theirs || "—"}</dd>`}</dl>
    <span class="acts">${!conflict.gone && html`<button class="btn" onClick=${onMine}>${say("keepMine")}</button>`}<button class="btn" onClick=${onTheirs}>${say(conflict.gone ? "dismiss" : "keepTheirs")}</button></span></section>`;
}

/** Corrections of an earlier transcript that fit no more. */
export function NotApplied({ ops }) {
  const words = ops.filter((op) => op.op === "words");
  return html`<details class="strip doubt"><summary>${say("notApplied", { n: ops.length })}</summary><ul>${words.map((op) => html`<li>${op.was.join(" ") || "…"} → ${op.now.join(" ") || "—"}</li>`)}</ul></details>`;
}
