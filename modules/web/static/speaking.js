// The page while a person speaks: firm text, and pale text that may still change.

import { Component, html } from "/static/vendor/htm-3.1.1/standalone.module.js";
import { canListen } from "/static/live.js";
import { nameOf as speakerName } from "/static/recording.js";
import { clock, languageName, say } from "/static/words.js";

const LANGUAGES = ["auto", "ru", "en", "de", "fr", "es", "it", "pt", "uk", "pl", "tr", "kk", "zh", "ja"];
// As far from the end of the text somebody still follows it, in pixels.
const NEAR = 80;

const nameOf = (code) => (code === "auto" ? say("liveAuto") : languageName(code));

/** Words come with the blank that stands before them, or without one. */
export const joined = (words) => words.map(({ word }) => word).reduce((text, word) => text + (text && !word.startsWith(" ") ? " " : "") + word, "").trim();

/** How loud it is, so that a person sees that they are heard. */
function Level({ peak }) {
  const percent = Math.round(100 * Math.min(1, Math.sqrt(peak)));
  return html`<span class="bar level" role="meter" aria-label=${say("liveLevel")} aria-valuenow=${percent} aria-valuemin="0" aria-valuemax="100"><svg aria-hidden="true"><rect width=${`${percent}%`} height="100%" /></svg></span>`;
}

function Start({ language, onLanguage, onStart }) {
  return html`<div class="state"><a class="back btn" href="#">‹ ${say("back")}</a><h1>${say("liveTitle")}</h1><p>${say("liveText")}</p>
    ${canListen()
      ? html`<label>${say("liveLanguage")}<select value=${language} onChange=${(event) => onLanguage(event.target.value)}>${LANGUAGES.map((code) => html`<option value=${code} selected=${code === language}>${nameOf(code)}</option>`)}</select></label>
        <button class="btn primary" onClick=${onStart}>${say("liveStart")}</button>`
      : html`<p class="bad-text" role="alert">${say("liveInsecure")}</p>`}</div>`;
}

export class Speaking extends Component {
  componentDidUpdate() {
    if (this.follows !== false && this.text) this.text.scrollTop = this.text.scrollHeight;
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.text;
    this.follows = scrollHeight - scrollTop - clientHeight < NEAR;
  }

  renderStrip({ state, behind, why, problem, isFull }) {
    if (state === "failed" && !why && !problem) return null; // stopped before it began, or discarded elsewhere
    if (state === "failed") return html`<div class="strip bad" role="alert">${why ? say(why) : say("problem", { why: problem })}</div>`;
    if (state === "suspended") return html`<div class="strip" role="status">${say("liveSuspended")}<button class="btn" onClick=${() => this.props.live.wake()}>${say("resume")}</button></div>`;
    if (isFull) return html`<div class="strip doubt" role="status">${say("liveFull")}</div>`;
    if (state === "waiting") return html`<div class="strip bad" role="status">${say("liveWaiting")}</div>`;
    if (behind) return html`<div class="strip doubt" role="status">${say("liveBehind", { n: Math.round(behind) })}</div>`;
    return null;
  }

  render({ live, language, actions }) {
    if (!live) return html`<${Start} language=${language} onLanguage=${actions.liveLanguage} onStart=${actions.speak} />`;
    const { paragraphs, committed, partial, state } = live;
    const status = { asking: "liveAsking", connecting: "liveConnecting", suspended: "liveUnheard", ending: "liveEnding", failed: "liveFailed" }[state] ?? "liveOn";
    const firm = joined(committed), pale = joined(partial);
    const several = new Set(paragraphs.map(({ speaker }) => speaker).filter(Boolean)).size > 1;
    return html`<header class="head"><a class="back btn" href="#">‹ ${say("back")}</a><h1>${say(status)}</h1><span class="meta time">${clock(live.seconds)}</span>
        <span class="acts">${live.isOver ? html`<button class="btn primary" onClick=${actions.speakAgain}>${say("liveAgain")}</button>` : html`<${Level} peak=${live.peak} /><button class="btn primary" disabled=${state === "ending"} onClick=${() => live.stop()}>${say("liveStop")}</button>`}</span></header>
      ${this.renderStrip(live)}
      <div class="text live" tabindex="0" role="log" aria-label=${say("liveOn")} ref=${(text) => (this.text = text ?? this.text)} onScroll=${() => this.scrolled()}>
        ${paragraphs.map(({ start, text, speaker }, n) => html`<div class="turn" key=${n}><div class="who">${several && speaker && html`<b>${speakerName(speaker)}</b> `}${clock(start)}</div><p>${text}</p></div>`)}
        ${(firm || pale) && html`<div class="turn" key="now"><div class="who"></div><p>${firm} <span class="pale">${pale}</span></p></div>`}
        ${!paragraphs.length && !firm && !pale && html`<p class="note">${say("liveNothing")}</p>`}
      </div>`;
  }
}
