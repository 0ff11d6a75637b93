// One recording: its text and its sound, or what happens to it instead.

import { Component, html } from "/static/vendor/htm-3.1.1/standalone.module.js";
import * as api from "/static/api.js";
import { Bar, progressOf, titleOf } from "/static/list.js";
import { drawMap, Player } from "/static/player.js";
import { LEAD_S, Transcript, TranscriptView } from "/static/transcript.js";
import { about, clock, dayOf, languageName, languageNow, say, timeOf } from "/static/words.js";

const FORMATS = ["txt", "docx", "srt", "vtt", "tsv", "json"];

/** Labels of ours become "Voice 2"; names stay. */
export function nameOf(speaker) {
  const number = /^SPEAKER_(\d+)$/.exec(speaker);
  return number ? say("speaker", { n: Number(number[1]) + 1 }) : speaker;
}

export function Head({ name, meta, children }) {
  return html`<header class="head"><a class="back btn" href="#">‹ ${say("back")}</a><h1>${titleOf(name)}</h1><span class="meta">${meta}</span><span class="acts">${children}</span></header>`;
}

/** A finished recording. It draws text and map itself; Preact has the frame around them. */
export class Finished extends Component {
  constructor(props) {
    super(props);
    this.state = { seconds: 0, playing: false, speed: 1, broken: null, menu: null, copied: false };
    this.transcript = new Transcript(props.content);
  }

  componentDidMount() {
    const { name, content, start } = this.props;
    this.view = new TranscriptView(this.text, this.transcript, {
      nameOf, timeOf: clock, leftOut: (text) => say("droppedLine", { text }), onWord: (seconds) => this.playFrom(seconds),
    });
    this.player = new Player(api.soundOf(name), {
      onTick: (seconds) => this.tick(seconds),
      onState: () => this.setState({ playing: this.player.playing, speed: this.player.speed }),
      onError: () => this.soundFailed(),
    });
    this.setState({ speed: this.player.speed });
    if (start) {
      this.player.seek(start);
      this.view.reveal(start);
    }
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.map);
    this.keys = (event) => this.key(event);
    document.addEventListener("keydown", this.keys);
    this.draw();
    if (!content.segments.length) this.text.replaceChildren();
  }

  componentDidUpdate() { this.draw(); }

  componentWillUnmount() {
    document.removeEventListener("keydown", this.keys);
    this.resized?.disconnect();
    this.player?.destroy();
    this.view?.destroy();
  }

  draw() { drawMap(this.map, this.transcript, this.state.seconds); }

  tick(seconds) {
    this.props.actions.keep(seconds);
    this.view.show(seconds, this.player.playing);
    if (Math.abs(seconds - this.state.seconds) > 0.2 || !this.player.playing) this.setState({ seconds });
  }

  /** What cannot be played is told from a service that is away for a moment. */
  async soundFailed() {
    let status = 0;
    try {
      status = (await fetch(api.soundOf(this.props.name), { headers: { Range: "bytes=0-0" } })).status;
    } catch { /* the list says that the service is away */ }
    if (status === 404) this.setState({ broken: "noSound" });
    else if (status === 415 || status === 200 || status === 206) this.setState({ broken: "notPlayable" });
    else this.player.again = true;
  }

  playFrom(seconds) {
    this.leavePassage();
    if (!this.state.broken) this.player.play(seconds);
  }

  /** Whoever goes elsewhere is no longer at a doubtful place. */
  move(by) {
    this.leavePassage();
    this.player.move(by);
  }

  leavePassage() {
    this.passage = null;
    this.view.showPassage(null);
  }

  playPassage(step) {
    const at = this.passage ? (step > 0 ? this.passage.end : this.passage.start) : this.player.seconds;
    const passage = this.transcript.passageFrom(at, step);
    if (!passage) return;
    this.passage = passage;
    this.view.showPassage(passage);
    if (!this.state.broken) this.player.play(passage.start - LEAD_S, passage.end + LEAD_S);
  }

  key(event) {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable], dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const onControl = event.target.closest?.("button, a, canvas");
    const does = {
      Space: () => !onControl && this.player.toggle(),
      KeyJ: () => this.move(-5), KeyL: () => this.move(5),
      BracketLeft: () => this.player.faster(-1), BracketRight: () => this.player.faster(1),
      KeyD: () => this.playPassage(event.shiftKey ? -1 : 1),
      Escape: () => this.setState({ menu: null }),
    }[event.code];
    if (!does || (event.code === "Space" && onControl)) return;
    event.preventDefault();
    does();
  }

  seekOnMap(event) {
    const box = this.map.getBoundingClientRect();
    const seconds = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * this.transcript.duration;
    this.leavePassage();
    this.player.seek(seconds);
    this.view.scrolledAt = -Infinity;
    this.view.show(seconds, true);
    this.setState({ seconds });
  }

  mapKey(event) {
    const by = { ArrowLeft: -5, ArrowRight: 5, PageDown: -60, PageUp: 60 }[event.key];
    if (!by) return;
    event.preventDefault();
    this.move(by);
  }

  async copy() {
    await navigator.clipboard.writeText(this.transcript.plainText(nameOf));
    this.setState({ copied: true });
    setTimeout(() => this.setState({ copied: false }), 2000);
  }

  render({ name, content, actions }, { seconds, playing, speed, broken, menu, copied }) {
    const { task } = content, { passages } = this.transcript;
    const meta = [about(content.duration_seconds), task.language && languageName(task.language), task.when && say("readyAt", { day: dayOf(task.when, true), time: timeOf(task.when) })];
    const open = (which) => this.setState({ menu: menu === which ? null : which });
    const speedText = `${new Intl.NumberFormat(languageNow()).format(speed)}×`;
    return html`<${Head} name=${name} meta=${meta.filter(Boolean).join(" · ")}>
        <button class="btn" onClick=${() => this.copy()}>${say(copied ? "copied" : "copyText")}</button>
        <button class="btn" aria-expanded=${menu === "download"} onClick=${() => open("download")}>${say("download")} ▾</button>
        <button class="btn" aria-label=${say("more_")} aria-expanded=${menu === "more"} onClick=${() => open("more")}>⋯</button>
        ${menu === "download" && html`<div class="menu">${FORMATS.map((format) => html`<a href=${api.textOf(name, format)} download onClick=${() => open(null)}>${format}</a>`)}<a href=${api.soundOf(name)} download=${name.slice(name.lastIndexOf("/") + 1)} onClick=${() => open(null)}>${say("original")}</a></div>`}
        ${menu === "more" && html`<div class="menu"><button onClick=${() => { open(null); actions.remove(name); }}>${say("delete")}</button></div>`}
      <//>
      <section class="player" aria-label=${say("play")}>
        <div class="row">
          <button class="btn primary play" disabled=${Boolean(broken)} aria-label=${say(playing ? "stop" : "play")} onClick=${() => this.player.toggle()}>${playing ? "❚❚" : "▶"}</button>
          <span class="time">${clock(seconds)} / ${clock(Math.round(content.duration_seconds))}</span><span class="space"></span>
          <button class="btn" disabled=${Boolean(broken)} aria-label=${say("backFive")} onClick=${() => this.move(-5)}>−5</button>
          <button class="btn" disabled=${Boolean(broken)} aria-label=${say("onFive")} onClick=${() => this.move(5)}>+5</button>
          <button class="btn" disabled=${Boolean(broken)} aria-label=${`${say("speed")}: ${speedText}`} onClick=${() => this.player.faster(1)}>${speedText}</button>
        </div>
        <canvas class="map" ref=${(map) => (this.map = map ?? this.map)} role="slider" tabindex="0" aria-label=${titleOf(name)} aria-valuemin="0" aria-valuemax=${Math.round(content.duration_seconds)} aria-valuenow=${Math.round(seconds)} aria-valuetext=${clock(seconds)}
          onPointerDown=${(event) => { this.map.setPointerCapture(event.pointerId); this.seekOnMap(event); }} onPointerMove=${(event) => event.buttons && this.seekOnMap(event)} onKeyDown=${(event) => this.mapKey(event)}></canvas>
        <div class="legend"><span><i class="speech"></i>${say("speech")}</span><span><i class="silence"></i>${say("silence")}</span>${passages.length > 0 && html`<span><i class="doubt"></i>${say("check")}</span>`}${content.dropped.length > 0 && html`<span><i class="dropped"></i>${say("invented")}</span>`}</div>
      </section>
      ${task.warnings.map((warning) => html`<div class="strip doubt">${warning[languageNow()]}</div>`)}
      ${broken && html`<div class="strip" role="status">${say(broken)}</div>`}
      ${passages.length > 0 && html`<div class="strip doubt"><span><b>${say("doubt", { n: passages.length })}</b>${say("doubtTime", { time: about(this.transcript.doubtfulSeconds) })}</span><button class="btn" onClick=${() => this.playPassage(1)}>${say("checkThem")}</button></div>`}
      ${content.segments.length === 0 && html`<div class="state"><p>${say("noText")}</p></div>`}
      <article class="text" tabindex="0" lang=${task.language} aria-label=${titleOf(name)} ref=${(text) => (this.text = text ?? this.text)}></article>`;
  }
}

/** A recording that has no text: it waits, runs, failed, or is none. */
export function Unfinished({ name, content, actions }) {
  const { task } = content;
  const head = html`<${Head} name=${name} meta=${name.includes("/") ? name.slice(0, name.lastIndexOf("/")) : ""} />`;
  if (task.state === "processing")
    return html`${head}<div class="state"><h2>${say("runTitle")}</h2><${Bar} percent=${task.percentage ?? 0} label=${name} /><p class="first">${progressOf(task)}</p><p>${say("runText")}</p></div>`;
  if (task.state === "queued" || task.state === "pending")
    return html`${head}<div class="state"><h2>${say("waitTitle")}</h2><p class="first">${progressOf(task)}</p><p>${say("waitText")}</p>${task.error && html`<p>${task.error}</p>`}<button class="btn primary" onClick=${() => actions.first(name)}>${say("first")}</button></div>`;
  if (task.state === "ignored") return html`${head}<div class="state"><h2>${say("ignoredTitle")}</h2><p>${say("ignoredText", { kind: task.error ?? "?" })}</p></div>`;
  return html`${head}<div class="state"><h2>${say("failTitle")}</h2><p>${task.error}</p>${task.state === "manual" && html`<button class="btn primary" onClick=${() => actions.retry(name)}>${say("retry")}</button>`}${content.explanation && html`<details><summary>${say("failMore")}</summary><p>${content.explanation}</p></details>`}</div>`;
}
