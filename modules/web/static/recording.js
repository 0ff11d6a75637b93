// One recording: its text and its sound, or what happens to it instead.

import { Component, html } from "/static/vendor/htm-3.1.1/standalone.module.js";
import * as api from "/static/api.js";
import { Correcting } from "/static/correcting.js";
import { Conflict, NotApplied, ReplaceDialog, SpeakerDialog } from "/static/dialogs.js";
import { Bar, progressOf } from "/static/list.js";
import { titleOf } from "/static/names.js";
import { drawMap, Player } from "/static/player.js";
import { Summary } from "/static/summary.js";
import { LEAD_S, Transcript, TranscriptView } from "/static/transcript.js";
import { findSound, peaksOf } from "/static/waveform.js";
import { about, clock, dayOf, languageName, languageNow, say, timeOf } from "/static/words.js";
import { momentOf } from "/static/workers.js";

const FORMATS = ["txt", "docx", "md", "srt", "vtt", "tsv", "json"];

const isDone = (outcome) => outcome === "stored" || outcome === "nothing";

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
    this.state = { seconds: 0, playing: false, speed: 1, broken: null, preparing: null, menu: null, copied: false, place: null, asked: null, replacing: false, allChecked: false };
    this.first = new Transcript(props.content);
    this.leaving = new AbortController();
  }

  get transcript() { return this.view?.transcript ?? this.first; }

  componentDidMount() {
    const { name, content, start } = this.props;
    this.view = new TranscriptView(this.text, this.first,
      { nameOf, timeOf: clock, leftOut: (text) => say("droppedLine", { text }), putBack: say("putBack"), rename: say("speakerRename") },
      {
        onWord: (seconds) => this.playFrom(seconds), onCorrect: (index, offset) => this.correct(index, offset),
        onSpeaker: (label, ids) => this.setState({ asked: { label, ids, name: nameOf(label) } }), onPutBack: (dropped) => this.correcting.putBack(dropped),
      });
    this.correcting = new Correcting(name, content, this.view, {
      changed: () => { this.draw(); this.setState({}); }, onToggle: () => this.player.toggle(), onEnd: (how) => this.corrected(how),
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
    this.showPeaks();
  }

  componentDidUpdate() { this.draw(); }

  componentWillUnmount() {
    this.leaving.abort();
    document.removeEventListener("keydown", this.keys);
    this.resized?.disconnect();
    this.player?.destroy();
    this.correcting?.destroy();
    this.view?.destroy();
  }

  draw() { drawMap(this.map, this.transcript, this.state.seconds); }

  tick(seconds) {
    this.props.actions.keep(seconds);
    this.view.show(seconds, this.player.playing);
    if (Math.abs(seconds - this.state.seconds) > 0.2 || !this.player.playing) this.setState({ seconds });
  }

  /** What cannot be played is told from what is being prepared, and from a service that is away. */
  async soundFailed() {
    const { name } = this.props, { signal } = this.leaving;
    const found = await findSound(name, this.player.source, (percent) => this.setState({ preparing: percent, later: false }), signal);
    if (signal.aborted) return;
    this.setState({ preparing: null, later: Boolean(found.later), broken: found.broken ?? null });
    if (found.source) this.player.load(found.source);
    else this.player.again = !found.broken;
  }

  async showPeaks() {
    const peaks = await peaksOf(this.props.name, this.leaving.signal);
    if (!peaks || this.leaving.signal.aborted) return;
    Object.assign(this.map, { peaks, kinds: null });
    this.draw();
  }

  playFrom(seconds) {
    this.leavePassage();
    if (!this.state.broken) this.player.play(seconds);
  }

  /** From the summary: heard and seen. */
  goTo(seconds) {
    this.view.reveal(seconds);
    this.playFrom(seconds);
  }

  /** Whoever goes elsewhere is no longer at a doubtful place. */
  move(by) {
    this.leavePassage();
    this.player.move(by);
  }

  leavePassage() {
    this.passage = null;
    this.view.showPassage(null);
    if (this.state.place) this.setState({ place: null });
  }

  playPassage(step) {
    const at = this.passage ? (step > 0 ? this.passage.end : this.passage.start) : this.player.seconds;
    const { passages } = this.transcript, passage = this.transcript.passageFrom(at, step);
    if (!passage) return false;
    this.passage = passage;
    this.text.focus({ preventScroll: true }); // so that Enter means this place
    this.view.showPassage(passage);
    this.setState({ place: { number: passages.indexOf(passage) + 1, of: passages.length } });
    if (!this.state.broken) this.player.play(passage.start - LEAD_S, passage.end + LEAD_S);
    return true;
  }

  /** From a button: the keys go on from here. */
  checkFrom(step) {
    if (!this.playPassage(step)) this.firstPassage();
  }

  /** Around the end, to what was left out before. */
  firstPassage() {
    this.passage = null;
    const [first] = this.transcript.passages;
    if (first) {
      this.passage = { start: -1, end: first.start - 0.001 };
      this.playPassage(1);
    } else this.leavePassage();
  }

  /** The passage is right: on to the next. */
  async confirmPassage() {
    const { passage } = this;
    if (!passage?.parts) return;
    this.player.pause();
    if (isDone(await this.correcting.confirm(passage))) this.goOn(passage);
  }

  goOn(passage) {
    this.passage = { start: passage.start, end: passage.end };
    if (this.playPassage(1)) return;
    if (this.transcript.passages.length) this.firstPassage();
    else {
      this.leavePassage();
      this.setState({ allChecked: true });
    }
  }

  // --- correcting ---

  correct(index, from, to) {
    this.player.until = null;
    this.correcting.typing.begin(index, from, to);
  }

  /** With the key: the passage to be checked, or what is being said. */
  correctHere() {
    const [part] = this.transcript.located(this.passage?.parts ?? []);
    if (part) return this.correct(part.index, part.from, part.to);
    const word = this.transcript.wordAt(this.player.seconds), index = word?.index ?? Math.max(0, this.transcript.segmentAt(this.player.seconds));
    if (this.transcript.segments[index]) this.correct(index, word?.from ?? 0, word?.to ?? 0);
  }

  /** A person is done with typing in a segment. */
  async corrected(how) {
    if (how === "away") return;
    this.text.focus({ preventScroll: true });
    const { passage } = this;
    if (how === "enter" && passage?.parts) {
      if (isDone(await this.correcting.confirm(passage))) this.goOn(passage);
    }
  }

  nameSpeaker(name, here) {
    const { label, ids } = this.state.asked;
    const known = this.transcript.speakers.find((each) => nameOf(each) === name) ?? name;
    if (here) this.correcting.setSpeaker(ids, label, known);
    else this.correcting.renameSpeaker(label, known);
  }

  key(event) {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable], dialog");
    const control = event.ctrlKey || event.metaKey;
    if (typing || event.altKey) return;
    const onControl = event.target.closest?.("button, a, canvas");
    const does = control ? {
      KeyZ: () => (event.shiftKey ? this.correcting.edits.redo() : this.correcting.edits.undo()), KeyY: () => this.correcting.edits.redo(),
    }[event.code] : {
      Enter: () => (this.passage ? this.confirmPassage() : this.correctHere()), KeyE: () => this.correctHere(),
      Space: () => !onControl && this.player.toggle(),
      KeyJ: () => this.move(-5), KeyL: () => this.move(5),
      BracketLeft: () => this.player.faster(-1), BracketRight: () => this.player.faster(1),
      KeyD: () => this.playPassage(event.shiftKey ? -1 : 1),
      Escape: () => this.setState({ menu: null }),
    }[event.code];
    if (!does || ((event.code === "Space" || event.code === "Enter") && onControl)) return;
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

  /** What there is to check, and how. */
  renderChecks(passages, { place, allChecked }) {
    if (allChecked && !passages.length) return html`<div class="strip ok" role="status">${say("allChecked")}</div>`;
    if (!passages.length) return null;
    if (!place) return html`<div class="strip doubt"><span><b>${say("doubt", { n: passages.length })}</b>${say("doubtTime", { time: about(this.transcript.doubtfulSeconds) })}</span><button class="btn" onClick=${() => this.checkFrom(1)}>${say("checkThem")}</button></div>`;
    return html`<div class="strip doubt" role="group" aria-label=${say("checkTitle")}><b>${say("placeOf", place)}</b><span class="acts">
      <button class="btn" onClick=${() => this.confirmPassage()}>${say("isRight")} <kbd>Enter</kbd></button>
      <button class="btn" onClick=${() => this.correctHere()}>${say("correctIt")} <kbd>E</kbd></button>
      <button class="btn" onClick=${() => this.checkFrom(1)}>${say("nextPlace")} <kbd>D</kbd></button></span></div>`;
  }

  render({ name, actions }, { seconds, playing, speed, broken, preparing, later, menu, copied, asked, replacing, ...rest }) {
    const content = this.correcting?.content ?? this.props.content, { edits, conflicts = [], problem } = this.correcting ?? {};
    const { task } = content, { passages, speakers } = this.transcript;
    const meta = [about(content.duration_seconds), task.language && languageName(task.language), task.when && say("readyAt", { day: dayOf(task.when, true), time: timeOf(task.when) })];
    const open = (which) => this.setState({ menu: menu === which ? null : which });
    const speedText = `${new Intl.NumberFormat(languageNow()).format(speed)}×`;
    return html`<${Head} name=${name} meta=${meta.filter(Boolean).join(" · ")}>
        <span class="saved" role="status">${edits && (edits.canUndo || edits.canRedo || edits.state !== "saved") ? say(edits.state) : ""}</span>
        <span class="pair"><button class="btn" aria-label=${say("undo")} title=${say("undo")} disabled=${!edits?.canUndo} onClick=${() => edits.undo()}>↶</button><button class="btn" aria-label=${say("redo")} title=${say("redo")} disabled=${!edits?.canRedo} onClick=${() => edits.redo()}>↷</button></span>
        <button class="btn" onClick=${() => this.copy()}>${say(copied ? "copied" : "copyText")}</button>
        <button class="btn" aria-expanded=${menu === "download"} onClick=${() => open("download")}>${say("download")} ▾</button>
        <button class="btn" aria-label=${say("more_")} aria-expanded=${menu === "more"} onClick=${() => open("more")}>⋯</button>
        ${menu === "download" && html`<div class="menu">${FORMATS.map((format) => html`<a href=${api.textOf(name, format)} download onClick=${() => open(null)}>${format}</a>`)}${content.corrections > 0 && html`<a href=${api.textOf(name, "txt", true)} download onClick=${() => open(null)}>${say("uncorrected")}</a>`}<a href=${api.soundOf(name, false)} download=${name.slice(name.lastIndexOf("/") + 1)} onClick=${() => open(null)}>${say("original")}</a></div>`}
        ${menu === "more" && html`<div class="menu"><button onClick=${() => { open(null); this.setState({ replacing: true }); }}>${say("replaceMenu")}</button><button onClick=${() => { open(null); actions.remove(name); }}>${say("delete")}</button></div>`}
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
      ${conflicts.map((conflict) => html`<${Conflict} key=${conflict.id} conflict=${conflict} onMine=${() => this.correcting.keepMine(conflict)} onTheirs=${() => this.correcting.keepTheirs(conflict)} />`)}
      ${problem && html`<div class="strip" role="alert">${problem}</div>`}
      ${content.unreadable && html`<div class="strip bad" role="alert">${say("editsUnreadable")}</div>`}
      ${content.not_applied.length > 0 && html`<${NotApplied} ops=${content.not_applied} />`}
      ${this.renderChecks(passages, rest)}
      ${content.segments.length === 0 && html`<div class="state"><p>${say("noText")}</p></div>`}
      ${content.segments.length > 0 && html`<${Summary} name=${name} version=${this.correcting?.edits.version} text=${() => this.text} onTime=${(time) => this.goTo(time)} />`}
      <article class="text" tabindex="0" lang=${task.language} aria-label=${titleOf(name)} ref=${(text) => (this.text = text ?? this.text)}></article>
      ${broken && html`<div class="strip sound" role="status">${say(broken)}</div>`}
      ${preparing !== null && html`<div class="strip sound" role="status">${say("preparing", { percent: preparing })}</div>`}
      ${later && html`<div class="strip sound" role="status">${say("soundLater")}</div>`}
      ${asked && html`<${SpeakerDialog} asked=${asked} names=${speakers.map(nameOf)} onName=${(given, here) => this.nameSpeaker(given, here)} onClose=${() => this.setState({ asked: null })} />`}
      ${replacing && html`<${ReplaceDialog} count=${(find, matchCase) => this.correcting.count(find, matchCase)} onReplace=${(...given) => this.correcting.replaceAll(...given)} onClose=${() => this.setState({ replacing: false })} />`}`;
  }
}

/** A recording that has no text: it waits, runs, failed, or is none. */
export function Unfinished({ name, content, actions, worker }) {
  const { task } = content;
  const head = html`<${Head} name=${name} meta=${name.includes("/") ? name.slice(0, name.lastIndexOf("/")) : ""} />`;
  if (task.state === "processing")
    return html`${head}<div class="state"><h2>${say("runTitle")}</h2><${Bar} percent=${task.percentage ?? 0} label=${name} /><p class="first">${progressOf(task)}</p>${worker && html`<p>${say("runOn", { name: worker.name, time: momentOf(worker.since) })}</p>`}<p>${say("runText")}</p></div>`;
  if (task.state === "queued" || task.state === "pending")
    return html`${head}<div class="state"><h2>${say("waitTitle")}</h2><p class="first">${progressOf(task)}</p><p>${say("waitText")}</p>${task.error && html`<p>${task.error}</p>`}<button class="btn primary" onClick=${() => actions.first(name)}>${say("first")}</button></div>`;
  if (task.state === "skipped") return html`${head}<div class="state"><h2>${say("skippedTitle")}</h2><p>${say("skippedText", { file: task.error ?? "?" })}</p><button class="btn primary" onClick=${() => actions.first(name)}>${say("skippedAnyway")}</button></div>`;
  if (task.state === "ignored") return html`${head}<div class="state"><h2>${say("ignoredTitle")}</h2><p>${say("ignoredText", { kind: task.error ?? "?" })}</p></div>`;
  return html`${head}<div class="state"><h2>${say("failTitle")}</h2><p>${task.error}</p>${["manual", "error"].includes(task.state) && html`<button class="btn primary" onClick=${() => actions.retry(name)}>${say("retry")}</button>`}${content.explanation && html`<details><summary>${say("failMore")}</summary><p>${content.explanation}</p></details>`}</div>`;
}
