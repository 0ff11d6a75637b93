// The sound of a recording, and the map of it: where there is speech, silence, doubt, and what was left out.

import { heightsOf } from "/static/waveform.js";

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3];
const KEPT = "transcriber.speed";

/** An audio element with what the page needs of it. `onTick(seconds)` is called while it plays. */
export class Player {
  constructor(source, { onTick, onState, onError }) {
    this.audio = new Audio();
    this.audio.preload = "metadata";
    this.audio.preservesPitch = true;
    this.until = null;
    this.again = false;
    this.wanted = null; // what to play once there is sound
    this.onTick = onTick;
    const speed = Number(localStorage.getItem(KEPT));
    this.audio.defaultPlaybackRate = this.audio.playbackRate = SPEEDS.includes(speed) ? speed : 1;
    for (const kind of ["play", "pause", "ended", "ratechange", "loadedmetadata", "seeked"]) this.audio.addEventListener(kind, onState);
    this.audio.addEventListener("play", () => this.#run());
    this.audio.addEventListener("seeked", () => onTick(this.seconds));
    this.audio.addEventListener("timeupdate", () => this.#stopInTime()); // a hidden tab draws no frames
    this.audio.addEventListener("error", () => {
      if (this.playing) this.wanted = { from: this.seconds, until: this.until };
      onError(this.audio.error);
    });
    this.audio.src = this.source = source;
  }

  get seconds() { return this.audio.currentTime; }
  get playing() { return !this.audio.paused && !this.audio.ended; }
  get speed() { return this.audio.playbackRate; }

  /** Play from a second, or from where it is; until another, if that is given. */
  play(from = null, until = null) {
    this.until = until;
    if (this.again) this.#reload(from ?? this.seconds);
    if (from !== null) this.audio.currentTime = Math.max(0, from);
    if (this.audio.error) this.wanted = { from: this.seconds, until };
    return this.audio.play().catch(() => {}); // the error event says why
  }

  pause() {
    this.wanted = null;
    this.audio.pause();
  }

  toggle() {
    this.until = null;
    if (this.playing || this.wanted) this.pause();
    else this.play();
  }

  move(by) {
    this.until = null;
    this.audio.currentTime = Math.max(0, this.seconds + by);
  }

  seek(to) {
    this.until = null;
    this.audio.currentTime = Math.max(0, to);
  }

  faster(step) {
    const at = SPEEDS.indexOf(this.speed);
    this.audio.playbackRate = this.audio.defaultPlaybackRate = SPEEDS[(at + step + SPEEDS.length) % SPEEDS.length];
    localStorage.setItem(KEPT, String(this.speed));
  }

  #run() {
    const frame = () => {
      this.#stopInTime();
      this.onTick(this.seconds);
      if (this.playing) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  /** Take the sound from another address, or from the same once it is there. */
  load(source) {
    const { wanted, seconds } = this;
    this.wanted = null;
    this.audio.src = this.source = source;
    this.#reload(wanted?.from ?? seconds);
    if (wanted) this.play(wanted.from, wanted.until);
  }

  /** After the service was away. */
  #reload(seconds) {
    this.again = false;
    const speed = this.speed;
    this.audio.load();
    this.audio.playbackRate = speed;
    this.audio.currentTime = seconds;
  }

  #stopInTime() {
    if (this.until === null || this.seconds < this.until) return;
    this.until = null;
    this.audio.pause();
  }

  destroy() {
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load();
  }
}

const STEP = 2, BAR = 3, GAP = 1; // pixels

/** What there is in each step of the map: "speech", "silence", "doubt" or "dropped". */
export function kindsOf(transcript, steps) {
  const kinds = new Array(steps).fill("silence");
  const paint = (start, end, kind) => {
    const from = Math.floor((start / transcript.duration) * steps), to = Math.ceil((end / transcript.duration) * steps);
    for (let step = Math.max(0, from); step < Math.min(steps, Math.max(to, from + 1)); step++) kinds[step] = kind;
  };
  for (const { start, end } of transcript.segments) paint(start, end, "speech");
  for (const { start, end } of transcript.dropped) paint(start, end, "dropped");
  for (const { parts } of transcript.passages)
    for (const { index, from, to } of parts) paint(transcript.secondsAt(index, from), transcript.endOf(index, to), "doubt");
  return kinds;
}

/** Draw it on a canvas; what was played already is darker. With `canvas.peaks` its heights are those of the sound. */
export function drawMap(canvas, transcript, seconds) {
  const scale = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width || !transcript.duration) return;
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const step = canvas.peaks ? BAR : STEP, steps = Math.ceil(width / step);
  if (canvas.kinds?.length !== steps || canvas.of !== transcript) {
    canvas.kinds = kindsOf(transcript, steps);
    canvas.heights = canvas.peaks && heightsOf(canvas.peaks, steps, transcript.duration);
    canvas.of = transcript;
  }
  const style = getComputedStyle(canvas), colour = (name) => style.getPropertyValue(name).trim();
  const colours = { speech: colour("--accent"), silence: colour("--line"), doubt: colour("--doubt"), dropped: colour("--soft") };
  const context = canvas.getContext("2d"), here = Math.min(width - 2, (seconds / transcript.duration) * width);
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  if (canvas.heights) drawBars(context, canvas, colours, here);
  else drawStretches(context, canvas, colours, here);
  context.globalAlpha = 1;
  context.fillStyle = colour("--ink");
  context.fillRect(here, 0, 2, height);
}

/** A bar for each step, as high as the sound is loud; what is to be checked can always be seen. */
function drawBars(context, { kinds, heights, clientHeight: height }, colours, here) {
  const least = { doubt: 0.4, dropped: 0.2 };
  for (const kind of Object.keys(colours)) {
    context.fillStyle = colours[kind];
    for (let step = 0; step < kinds.length; step++) {
      if (kinds[step] !== kind) continue;
      const tall = Math.max(2, Math.round((height * Math.max(heights[step], least[kind] ?? 0)) / 2) * 2);
      context.globalAlpha = kind === "dropped" ? 0.6 : kind === "speech" && step * BAR >= here ? 0.55 : 1;
      context.fillRect(step * BAR, (height - tall) / 2, BAR - GAP, tall);
    }
  }
}

/** Until its peaks are known: what there is, without how loud it is. */
function drawStretches(context, { kinds, clientWidth: width, clientHeight: height }, colours, here) {
  const heights = { speech: 0.6, silence: 0.1, doubt: 0.9, dropped: 0.3 }, steps = kinds.length;
  const stretch = (kind, from, to, alpha) => {
    if (to <= from) return;
    const tall = Math.max(2, height * heights[kind]);
    context.globalAlpha = alpha;
    context.fillStyle = colours[kind];
    context.beginPath();
    context.roundRect(from, (height - tall) / 2, to - from, tall, 2);
    context.fill();
  };
  for (let from = 0; from < steps; ) {
    let to = from;
    while (to < steps && kinds[to] === kinds[from]) to++;
    const left = from * STEP, right = Math.min(width, to * STEP), middle = Math.min(right, Math.max(left, here));
    stretch(kinds[from], left, middle, 1);
    stretch(kinds[from], middle, right, 0.5);
    from = to;
  }
}
