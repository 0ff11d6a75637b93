// A person speaks: the microphone's sound goes to the service as it comes, and its words come back.
// What the service has not written yet is kept here, and sent again when the connection is back.

import * as api from "/static/api.js";

const KEPT = "transcriber.live";
const RATE = 16_000;
// How long until it is tried again, and for how long sound is kept while nobody takes it.
const FIRST_MS = 500, MOST_MS = 5000, KEPT_S = 1800;
// How often the loudness is shown anew.
const METER_MS = 250;
// What may be over in a moment.
const PASSING = new Set(["too_many_sessions", "too_busy"]);
// Text so far behind is worth a word, in seconds.
const LATE_S = 3;

/** Browsers give the microphone to pages on https or on this machine alone. */
export const canListen = () => Boolean(globalThis.isSecureContext && navigator.mediaDevices?.getUserMedia && globalThis.AudioWorkletNode);

/** What a reload left: `{session, rate, language}` or null. */
export function unfinished() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT));
  } catch {
    return null;
  }
}

/** The samples that the service may still need, by their number in the session. */
export class Kept {
  constructor(rate) {
    this.most = KEPT_S * rate;
    this.begin(0);
  }

  /** Begin at a sample that is the first to be kept. */
  begin(at) {
    this.pieces = [];
    this.base = this.end = at;
  }

  add(samples) {
    this.pieces.push(samples);
    this.end += samples.length;
    while (this.end - this.base > this.most) this.base += this.pieces.shift().length;
  }

  /** Those before it are written. */
  forget(before) {
    while (this.pieces.length && this.base + this.pieces[0].length <= before) this.base += this.pieces.shift().length;
  }

  /** All from a sample on; those that are not here any more are left out. */
  from(at) {
    let start = this.base;
    return this.pieces.flatMap((piece) => {
      const skipped = Math.max(0, at - start);
      start += piece.length;
      return skipped < piece.length ? [piece.subarray(skipped)] : [];
    });
  }
}

/**
 * One session. `on.changed()` is called when something is to be shown, `on.stored(recording)` at its end.
 *
 * `state`: asking (for the microphone), connecting, on, waiting (for the service), suspended (the browser
 * wants a click), ending, stored, failed. `paragraphs`: [{start, text, speaker}], which do not change;
 * `committed`: words behind them that do not either; `partial`: those that may.
 */
export class Live {
  constructor(language, on) {
    const left = unfinished();
    Object.assign(this, { on, language: left?.language ?? language, session: left?.session ?? null, rate: left?.rate ?? RATE });
    Object.assign(this, { state: "asking", paragraphs: [], committed: [], partial: [], seq: 0, peak: 0, behind: 0, problem: null, pause: FIRST_MS, shownAt: 0 });
  }

  get seconds() { return this.kept ? this.kept.end / this.rate : 0; }

  get isOver() { return this.state === "stored" || this.state === "failed"; }

  async start() {
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true } });
      if (!this.isOver) await this.listen();
    } catch (error) {
      if (this.isOver) return;
      return this.fail(error.name === "NotAllowedError" ? "micRefused" : error.name === "NotFoundError" ? "micMissing" : "micBroken");
    }
    if (this.isOver) this.release(); // it was stopped before the person or the sound device answered
    else this.connect();
  }

  async listen() {
    try {
      this.context = new AudioContext({ sampleRate: this.rate });
      this.source = this.context.createMediaStreamSource(this.stream);
    } catch { // some browsers do not convert (Firefox before 148): the service does
      this.context?.close();
      this.context = new AudioContext();
      this.source = this.context.createMediaStreamSource(this.stream);
      if (this.context.sampleRate !== this.rate) this.session = null; // the other one is stored by itself
      this.rate = this.context.sampleRate;
    }
    this.context.onstatechange = () => this.turned();
    this.kept = new Kept(this.rate);
    await this.context.audioWorklet.addModule("/static/capture.js");
    this.capture = new AudioWorkletNode(this.context, "capture", { numberOfOutputs: 0 });
    this.capture.port.onmessage = ({ data }) => this.heard(data);
    this.source.connect(this.capture);
    this.stream.getAudioTracks()[0].onended = () => this.stop(); // unplugged: what was said is kept
    if (this.context.state !== "running") await Promise.race([this.context.resume(), new Promise((go) => setTimeout(go, 300))]);
  }

  /** Sound may begin long after it was asked for, and a browser may interrupt it, as for a call on a telephone. */
  turned() {
    const isRunning = this.context.state === "running";
    if (isRunning && this.state === "suspended") this.show("on");
    else if (!isRunning && this.state === "on") this.show("suspended");
  }

  heard({ samples, peak }) {
    if (this.state === "ending" || this.isOver) return;
    this.peak = Math.max(peak, 0.8 * this.peak);
    this.kept.add(samples);
    if (this.isReady) this.socket.send(samples);
    if (Date.now() - this.shownAt < METER_MS) return; // or the whole page would be drawn for each piece
    this.shownAt = Date.now();
    this.on.changed();
  }

  // --- the connection ---

  connect() {
    this.show(this.session || this.state === "waiting" ? "waiting" : "connecting");
    const socket = (this.socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/live${this.session ? `?session=${this.session}` : ""}`));
    this.isReady = false;
    socket.onopen = () => socket.send(JSON.stringify({ type: "start", language: this.language, rate: this.rate, name: "", session: this.session, seq: this.seq }));
    socket.onmessage = ({ data }) => socket === this.socket && this.told(JSON.parse(data));
    socket.onclose = () => socket === this.socket && this.closed();
  }

  closed() {
    this.isReady = false;
    if (this.isOver) return;
    if (this.state !== "ending") this.show("waiting");
    this.askWhy();
    this.timer = setTimeout(() => this.connect(), this.pause);
    this.pause = Math.min(MOST_MS, 2 * this.pause);
  }

  /** A browser does not say why a socket was refused. */
  async askWhy() {
    const { free, error_code: never, message } = await api.sessions().catch(() => ({ free: true }));
    if (never) { // it was switched off meanwhile
      this.problem = message;
      return this.fail(null);
    }
    this.isFull = !free && !this.session;
    this.on.changed();
  }

  told(message) {
    const does = {
      ready: () => this.ready(message),
      received: () => this.kept.forget(message.received_samples),
      partial: () => (this.partial = message.words),
      commit: () => this.commit(message),
      final: () => this.final(message),
      lag: () => (this.behind = message.seconds >= LATE_S ? message.seconds : 0),
      stored: () => this.ended(message.recording),
      error: () => this.refused(message),
    }[message.type];
    does?.();
    this.on.changed();
  }

  ready({ session, received_samples: received }) {
    if (session !== this.session || received > this.kept.end) this.restart(session, received);
    sessionStorage.setItem(KEPT, JSON.stringify({ session, rate: this.rate, language: this.language }));
    this.isReady = true;
    this.isFull = false;
    this.pause = FIRST_MS;
    for (const piece of this.kept.from(received)) this.socket.send(piece);
    if (this.state === "ending") this.socket.send(JSON.stringify({ type: "stop" }));
    else this.show(this.context.state === "running" ? "on" : "suspended");
  }

  /** Another session than the one before, or the one from before a reload: its samples are numbered anew. */
  restart(session, received) {
    const pieces = this.kept.from(this.kept.base);
    this.kept.begin(received);
    pieces.forEach((piece) => this.kept.add(piece));
    this.session = session;
  }

  commit({ seq, words }) {
    if (seq <= this.seq) return;
    this.seq = seq;
    this.committed.push(...words);
    this.partial = [];
  }

  final({ seq, start, text, speaker }) {
    if (seq <= this.seq) return;
    this.seq = seq;
    if (text) this.paragraphs.push({ start, text, speaker });
    this.committed = [];
    this.partial = [];
  }

  /** The service ended the session meanwhile: what it has is stored, what is kept here begins another one. */
  refused({ error_code: code, message }) {
    if (code === "session_not_found" && this.session) return this.beginAnew();
    if (PASSING.has(code)) return; // it is tried again
    this.problem = message;
    this.fail(null);
  }

  /** The session is a recording now. While this page was away, that was not by its wish. */
  ended(recording) {
    if (this.isReady || this.state === "ending") this.stored(recording);
    else this.beginAnew();
  }

  beginAnew() {
    this.session = null;
    this.seq = 0;
    sessionStorage.removeItem(KEPT);
  }

  // --- its end ---

  /** After a click: browsers do not start sound by themselves after a reload. */
  wake() {
    return this.context.resume();
  }

  stop() {
    if (this.isOver || this.state === "ending") return;
    if (this.state === "asking") return this.fail(null);
    this.release();
    if (this.isReady) this.socket.send(JSON.stringify({ type: "stop" }));
    this.show("ending");
  }

  stored(recording) {
    if (!recording) return this.fail(this.seconds ? null : "liveNoSound");
    this.release();
    sessionStorage.removeItem(KEPT);
    this.show("stored");
    this.socket.close();
    this.on.stored(recording);
  }

  fail(why) {
    this.release();
    this.why = why;
    sessionStorage.removeItem(KEPT);
    this.show("failed");
    clearTimeout(this.timer);
    this.socket?.close();
  }

  release() {
    this.peak = 0;
    this.stream?.getTracks().forEach((track) => track.stop());
    this.closing ??= this.context?.close();
  }

  show(state) {
    this.state = state;
    this.on.changed();
  }
}
