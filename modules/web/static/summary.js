// The summary of a text above it: what a language model made of it, or how it stands with that.

import { Component, html } from "/static/vendor/htm-3.1.1/standalone.module.js";
import * as api from "/static/api.js";
import { clock, say } from "/static/words.js";

const AGAIN_MS = 4000;
const KINDS = ["points", "decisions", "tasks", "questions"];
const FAILURES = ["summary_truncated", "summary_cut", "summary_empty", "summary_unusable", "summary_refused", "summary_too_long", "summary_window_too_small"];
const WAITS = ["waiting", "making"];

export class Summary extends Component {
  constructor(props) {
    super(props);
    this.state = { found: null };
    this.open = matchMedia("(min-width: 721px)").matches; // on a phone it would hide the text
  }

  componentDidMount() { this.look(); }

  /** What comes or goes above the text must not move what somebody reads. */
  getSnapshotBeforeUpdate() { return this.keepsPlace ? this.props.text().getBoundingClientRect().top : null; }

  componentDidUpdate(before, _, top) {
    const text = this.props.text();
    if (top !== null) text.scrollTop += text.getBoundingClientRect().top - top;
    this.keepsPlace = false;
    // A correction may make the summary old.
    if (before.version !== this.props.version && this.state.found?.state === "done") this.lookLater();
  }

  componentWillUnmount() {
    this.left = true;
    clearTimeout(this.timer);
  }

  async look() {
    let found = this.state.found, failed = false;
    try {
      found = await api.summary(this.props.name);
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      failed = error.status !== 404; // the page itself says that the service is away
    }
    if (this.left) return;
    this.show(found);
    if (failed || WAITS.includes(found?.state)) this.lookLater();
  }

  /** One that comes late, and was not asked for here, is a closed line: nothing else has its height. */
  show(found) {
    const before = this.state.found, isRead = this.props.text().scrollTop > 0;
    const comes = found?.state === "done" && before?.state !== "done";
    if (comes && (isRead || (before && !this.asked))) this.open = false;
    this.keepsPlace = isRead || Boolean(before && !(comes && this.open));
    this.setState({ found });
  }

  lookLater() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), AGAIN_MS);
  }

  async make() {
    try {
      const found = await api.makeSummary(this.props.name);
      this.asked = true;
      this.show(found);
      this.setState({ problem: null });
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      this.setState({ problem: say("problem", { why: error.message || say("away") }) });
    }
    this.lookLater();
  }

  renderEntry({ text, time, who }) {
    return html`<li>${time !== null && html`<button class="at" aria-label=${say("playFrom", { time: clock(time) })} onClick=${() => this.props.onTime(time)}>${clock(time)}</button> `}${who && html`<b>${who}: </b>`}${text}</li>`;
  }

  /** What is wrong with it, or that there is none, with the button that makes one. */
  renderStrip(text, button) {
    const { found, problem } = this.state;
    return html`<div class="strip"><span role="status">${text}</span>${found.can_be_made && html`<button class="btn" onClick=${() => this.make()}>${say(button)}</button>`}</div>
      ${problem && html`<div class="strip" role="alert">${problem}</div>`}`;
  }

  render({ }, { found }) {
    if (!found || (found.state === "none" && !found.can_be_made)) return null;
    if (found.state === "none") return this.renderStrip(say("summaryNone"), "summaryMake");
    if (WAITS.includes(found.state)) return html`<div class="strip" role="status">${say(found.state === "making" ? "summaryMaking" : found.message ? "summaryHeld" : "summaryWaiting")}</div>`;
    const why = FAILURES.includes(found.error) ? ` ${say(found.error)}` : "";
    if (found.state === "failed") return this.renderStrip(say("summaryFailed") + why, "retry");
    return html`${found.outdated && this.renderStrip(say("summaryOld") + (found.error ? ` ${say("summaryNotRenewed")}${why}` : ""), "summaryRenew")}<details class="summary" open=${this.open} lang=${found.language}><summary lang="">${say("summary")}</summary>
      <p>${found.summary}</p>
      ${KINDS.map((kind) => found[kind].length > 0 && html`<h2 lang="">${say(kind)}</h2><ul>${found[kind].map((entry) => this.renderEntry(entry))}</ul>`)}
      <p class="by" lang="">${say("summaryBy", { model: found.model })}</p></details>`;
  }
}
