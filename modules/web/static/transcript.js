// The text of a recording: its segments, words, doubtful passages, and where all that is on the page.
// Plain DOM with one text node for a segment: a span for each word of 24 hours would take 12 s.

const UNSURE = 0.5;
const PASSAGE_GAP_S = 3;
/** Seconds that are played before and behind a doubtful place. */
export const LEAD_S = 1;
const PARAGRAPH_CHARS = 600;

/** Segments with the place of each word in their text. Words are found when they are needed. */
export class Transcript {
  constructor(content) {
    this.segments = [...content.segments];
    this.dropped = content.dropped ?? [];
    this.duration = content.duration_seconds;
    this.placed = new Map();
    this.places = new Map(this.segments.map((segment, index) => [segment.id, index]));
    this.passages = this.#passages();
  }

  /** Where a segment is, by its id; undefined if it is not there. */
  placeOf(id) { return this.places.get(id); }

  /** Segments that were corrected, by id. */
  update(segments) {
    for (const [id, segment] of Object.entries(segments)) {
      const index = this.places.get(id);
      if (index === undefined || !segment) continue;
      this.segments[index] = segment;
      this.placed.delete(index);
    }
    this.passages = this.#passages();
  }

  /** [{text, from, to, start, end}]: characters of the segment's text, and seconds. */
  words(index) {
    if (!this.placed.has(index)) {
      const { text, words } = this.segments[index];
      let at = 0;
      const found = [];
      for (const [word, start, end, confidence, checked] of words) {
        const from = text.indexOf(word, at);
        at = from + word.length;
        found.push({ text: word, from, to: at, start, end: end ?? start, doubtful: !checked && confidence !== null && confidence < UNSURE, checked });
      }
      this.placed.set(index, found);
    }
    return this.placed.get(index);
  }

  /** The last segment that begins at or before a second; -1 before the first. */
  segmentAt(seconds) {
    let low = 0, high = this.segments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.segments[middle].start <= seconds) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** The word that is said at a second, or null. */
  wordAt(seconds) {
    const index = this.segmentAt(seconds);
    if (index < 0 || seconds > this.segments[index].end + 0.3) return null;
    const word = this.words(index).findLast((each) => each.start <= seconds + 0.01);
    return word ? { index, ...word } : null;
  }

  /** Where a character of a segment is said: the word there, or the nearest before it. */
  secondsAt(index, offset) {
    const words = this.words(index);
    const word = words.find((each) => offset < each.to) ?? words.at(-1);
    return word ? word.start : this.segments[index].start;
  }

  /** Until when the characters before an offset are said. */
  endOf(index, offset) {
    const word = this.words(index).findLast((each) => each.from < offset);
    return word ? word.end : this.segments[index].end;
  }

  /** Doubtful stretches, those close together joined: {start, end, parts: [{index, from, to}]}. */
  #passages() {
    const found = [];
    const add = (index, from, to, start, end) => {
      const last = found.at(-1);
      if (last && start - last.end <= PASSAGE_GAP_S) {
        last.end = Math.max(last.end, end);
        const part = last.parts.at(-1);
        if (part.index === index) part.to = to;
        else last.parts.push({ id: this.segments[index].id, index, from, to });
      } else found.push({ start, end, parts: [{ id: this.segments[index].id, index, from, to }] });
    };
    this.segments.forEach((segment, index) => {
      if (segment.flags.length) add(index, 0, segment.text.length, segment.start, segment.end);
      else if (segment.words.some((word) => word[3] !== null && word[3] < UNSURE && !word[4]))
        for (const word of this.words(index))
          if (word.doubtful) add(index, word.from, word.to, word.start, word.end);
    });
    return found;
  }

  get doubtfulSeconds() {
    return this.passages.reduce((sum, each) => sum + each.end - each.start + 2 * LEAD_S, 0);
  }

  /** The passage after (step 1) or before (step -1) a second; null if there is none. */
  passageFrom(seconds, step) {
    if (step > 0) return this.passages.find((each) => each.end > seconds) ?? null;
    return this.passages.findLast((each) => each.end < seconds) ?? null;
  }

  /** Paragraphs: [{speaker, start, segments: [index]}] and left out ones: {start, dropped}. */
  paragraphs() {
    const found = [];
    let open = null, chars = 0;
    this.segments.forEach((segment, index) => {
      const full = chars > PARAGRAPH_CHARS && /[.!?…]["»”)]*$/.test(this.segments[index - 1]?.text ?? "");
      const pause = open && segment.start - this.segments[index - 1].end > 3;
      if (!open || open.speaker !== segment.speaker || full || pause) {
        open = { speaker: segment.speaker, start: segment.start, segments: [] };
        found.push(open);
        chars = 0;
      }
      open.segments.push(index);
      chars += segment.text.length;
    });
    for (const dropped of this.dropped) if (dropped.text) found.push({ start: dropped.start, dropped });
    return found.sort((a, b) => a.start - b.start);
  }

  /** The parts of a passage where they are now, as segments come and go. */
  located(parts) { return parts.map((part) => ({ ...part, index: this.placeOf(part.id) })).filter(({ index }) => index !== undefined); }

  /** Operations that say that all of a passage is right. */
  confirmations({ start, end, parts }) {
    return this.located(parts).flatMap(({ index }) => {
      const { id, flags } = this.segments[index], words = this.words(index);
      const left = words.map((word, number) => ({ ...word, number })).filter((word) => !word.checked && (flags.length || (word.doubtful && word.start >= start - 0.01 && word.end <= end + 0.01)));
      if (!left.length) return [];
      const from = left[0].number, to = left.at(-1).number + 1;
      return [{ op: "confirm", segment: id, from, to, was: words.slice(from, to).map((word) => word.text) }];
    });
  }

  /** The labels of all speakers, in the order in which they speak. */
  get speakers() { return [...new Set(this.segments.map((segment) => segment.speaker).filter(Boolean))]; }

  /** Whether one person speaks, whom nobody has named: then a label says nothing. */
  get isLone() { return this.speakers.length === 1 && /^SPEAKER_\d+$/.test(this.speakers[0]); }

  plainText(nameOf) {
    return this.paragraphs()
      .filter((each) => each.segments)
      .map((each) => (each.speaker && !this.isLone ? `${nameOf(each.speaker)}: ` : "") + each.segments.map((index) => this.segments[index].text.trim()).join(" "))
      .join("\n\n");
  }
}

/**
 * The transcript on the page. `words` has `nameOf`, `timeOf`, `leftOut`, `putBack` and `rename`. `does` is told of clicks:
 * `onWord(seconds)`, `onCorrect(index, offset)`, `onSpeaker(label, indexes)` and `onPutBack(dropped)`.
 */
export class TranscriptView {
  constructor(host, transcript, words, does) {
    this.host = host;
    this.said = words;
    this.does = does;
    this.scrolledAt = -Infinity;
    host.addEventListener("click", (event) => this.#clicked(event));
    host.addEventListener("dblclick", (event) => this.#doubleClicked(event));
    for (const kind of ["wheel", "touchmove", "pointerdown"]) host.addEventListener(kind, () => (this.scrolledAt = performance.now()), { passive: true });
    this.load(transcript);
  }

  /** Another text, or another version of it; what was in view stays there. */
  load(transcript) {
    if (this.gone) return;
    const top = this.host.scrollTop;
    this.transcript = transcript;
    this.nodes = [];
    this.#build();
    this.host.scrollTop = top;
    this.markDoubts();
    this.#mark("passage", transcript.located(this.passage?.parts ?? []));
  }

  markDoubts() { this.#mark("doubt", this.transcript.passages.flatMap((each) => each.parts)); }

  /** Show a corrected segment, unless somebody writes in it. */
  refresh(index) {
    if (this.gone || index === undefined) return;
    const span = this.spanOf(index);
    if (!span || span.isContentEditable) return;
    this.nodes[index] = document.createTextNode(this.transcript.segments[index].text.trim());
    span.replaceChildren(this.nodes[index]);
  }

  spanOf(index) { return this.nodes[index]?.parentElement ?? this.host.querySelector(`span[data-index="${index}"]`); }

  #build() {
    const { nameOf, timeOf, leftOut, putBack, rename } = this.said;
    const whole = document.createDocumentFragment();
    const { isLone } = this.transcript;
    let speaker = null;
    for (const each of this.transcript.paragraphs()) {
      const turn = element("div", "turn"), who = element("div", "who"), p = element("p");
      if (each.dropped !== undefined) {
        p.className = "left";
        const back = element("button", "btn small", putBack);
        back.onclick = () => this.does.onPutBack(each.dropped);
        p.append(leftOut(each.dropped.text), " ", back);
      } else {
        if (each.speaker && each.speaker !== speaker) {
          const name = element("button", isLone ? "name lone" : "name", isLone ? rename : nameOf(each.speaker));
          name.title = rename;
          name.onclick = () => this.does.onSpeaker(each.speaker, each.segments.map((index) => this.transcript.segments[index].id));
          who.append(name);
        }
        speaker = each.speaker;
        for (const index of each.segments) {
          const span = element("span");
          const node = document.createTextNode(this.transcript.segments[index].text.trim());
          span.dataset.index = index;
          span.append(node);
          this.nodes[index] = node;
          p.append(span, " ");
        }
      }
      who[isLone ? "prepend" : "append"](timeOf(each.start));
      turn.append(who, p);
      whole.append(turn);
    }
    this.host.replaceChildren(whole);
  }

  #range({ index, from, to }) {
    const node = this.nodes[index].isConnected ? this.nodes[index] : (this.spanOf(index)?.firstChild ?? this.nodes[index]);
    const shift = this.transcript.segments[index].text.length - this.transcript.segments[index].text.trimStart().length;
    const range = new Range();
    range.setStart(node, Math.min(node.length, Math.max(0, from - shift)));
    range.setEnd(node, Math.min(node.length, Math.max(0, to - shift)));
    return range;
  }

  #mark(name, parts) {
    if (this.gone || !globalThis.CSS?.highlights) return;
    const highlight = new Highlight();
    for (const part of parts) highlight.add(this.#range(part));
    CSS.highlights.set(name, highlight);
  }

  /** The segment and the character under the pointer, or null. */
  #placeAt(event) {
    const place = document.caretPositionFromPoint?.(event.clientX, event.clientY) ?? document.caretRangeFromPoint?.(event.clientX, event.clientY);
    const node = place?.offsetNode ?? place?.startContainer;
    const span = node?.parentElement;
    const index = Number(span?.dataset.index ?? NaN);
    if (Number.isNaN(index) || span.isContentEditable) return null;
    return { index, offset: place.offset ?? place.startOffset };
  }

  #clicked(event) {
    if (!getSelection().isCollapsed) return;
    const place = this.#placeAt(event);
    if (!place) return;
    const { text } = this.transcript.segments[place.index];
    this.does.onWord(this.transcript.secondsAt(place.index, place.offset + text.length - text.trimStart().length));
  }

  #doubleClicked(event) {
    const place = this.#placeAt(event);
    if (place) this.does.onCorrect(place.index, place.offset);
  }

  /** Light the word that is being said, and keep it in view unless the reader scrolled. */
  show(seconds, follow) {
    const word = this.transcript.wordAt(seconds);
    this.#mark("playing", word ? [word] : []);
    if (word && follow && performance.now() - this.scrolledAt > 4000) this.#reveal(this.spanOf(word.index));
  }

  showPassage(passage) {
    this.passage = passage;
    const parts = this.transcript.located(passage?.parts ?? []);
    this.#mark("passage", parts);
    if (parts.length) this.#reveal(this.spanOf(parts[0].index), true);
  }

  /** Bring what is said at a second into view, and light its word. */
  reveal(seconds) {
    this.show(seconds, false);
    const node = this.nodes[Math.max(0, this.transcript.segmentAt(seconds))];
    if (node) this.#reveal(node.parentElement, true);
  }

  #reveal(target, centre = false) {
    const box = target.getBoundingClientRect(), frame = this.host.getBoundingClientRect();
    if (centre || box.top < frame.top + 20 || box.bottom > frame.bottom - 60) target.scrollIntoView({ block: "center" });
  }

  destroy() {
    this.gone = true;
    for (const name of ["playing", "doubt", "passage"]) globalThis.CSS?.highlights?.delete(name);
  }
}

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}
