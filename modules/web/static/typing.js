// Correcting in place: one segment of the text can be written in at a time.

import { changeOf } from "/static/diff.js";
import { unsent } from "/static/edits.js";

const SAVE_MS = 1000;

/** `onEnd(how)` is called when the person leaves: "enter", "escape", "away", or "split" with the number of a word. */
export class Typing {
  constructor(name, view, edits, { label, onToggle, onEnd }) {
    this.name = name;
    this.view = view;
    this.edits = edits;
    this.label = label;
    this.onToggle = onToggle;
    this.onEnd = onEnd;
    this.index = null;
  }

  get active() { return this.index !== null; }

  /** Write in a segment; the characters from `from` to `to` are selected. */
  begin(index, from = 0, to = from) {
    this.finish();
    const span = this.view.spanOf(index);
    if (!span) return;
    this.index = index;
    this.id = this.view.transcript.segments[index].id;
    this.span = span;
    span.contentEditable = "plaintext-only";
    for (const [key, value] of [["role", "textbox"], ["aria-multiline", "true"], ["aria-label", this.label], ["spellcheck", "true"]]) span.setAttribute(key, value);
    span.oninput = () => this.#typed();
    span.onkeydown = (event) => this.#key(event);
    span.onblur = () => this.#leave("away");
    span.focus({ preventScroll: true });
    this.#select(from, to);
    span.scrollIntoView({ block: "nearest" });
  }

  #select(from, to) {
    const node = this.span.firstChild;
    if (!node) return;
    const range = new Range(), at = (place) => Math.max(0, Math.min(node.length, place));
    range.setStart(node, at(from));
    range.setEnd(node, at(to));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  }

  #typed() {
    const { text } = this.view.transcript.segments[this.index];
    unsent.note(this.name, this.id, { base: text, typed: this.span.textContent });
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#save(), SAVE_MS);
  }

  #save() {
    clearTimeout(this.timer);
    if (this.span) saveDraft(this.name, () => this.view.transcript, this.edits, this.id, this.span.textContent);
  }

  #key(event) {
    event.stopPropagation();
    if (event.code === "Space" && event.ctrlKey) {
      event.preventDefault();
      this.onToggle();
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      this.#leave(event.shiftKey ? "split" : "enter");
    } else if (event.key === "Escape") this.#leave("escape");
  }

  #leave(how) {
    if (!this.active) return;
    const { id } = this, word = how === "split" ? this.#wordAtCaret() : null;
    this.finish();
    this.onEnd(how, id, word);
  }

  /** How many words stand before the caret. */
  #wordAtCaret() {
    const range = getSelection().getRangeAt(0).cloneRange();
    range.setStart(this.span, 0);
    return range.toString().split(/\s+/).filter(Boolean).length;
  }

  /** Stop, and store what was typed. */
  finish() {
    if (!this.active) return;
    const { span, index } = this;
    this.#save();
    this.index = this.span = null;
    span.oninput = span.onkeydown = span.onblur = null;
    for (const name of ["contenteditable", "role", "aria-multiline", "aria-label", "spellcheck"]) span.removeAttribute(name);
    if (document.activeElement === span) span.blur();
    const typed = span.textContent.replace(/\s+/g, " ").trim();
    this.view.nodes[index] = document.createTextNode(typed);
    span.replaceChildren(this.view.nodes[index]);
  }
}

/** Store what was typed in a segment, by the words that are there when its turn comes. */
export function saveDraft(name, transcript, edits, id, typed) {
  const make = () => {
    const change = changeIn(transcript(), id, typed);
    if (!change) unsent.note(name, id, null);
    return change ? [{ op: "words", segment: id, ...change }] : [];
  };
  return edits.add(make, { draft: { id, typed } });
}

export function changeIn(transcript, id, typed) {
  const index = transcript.placeOf(id);
  if (index === undefined) return null;
  const { text } = transcript.segments[index], lead = text.length - text.trimStart().length;
  const words = transcript.words(index).map((word) => ({ ...word, from: word.from - lead, to: word.to - lead }));
  return changeOf(text.trim(), words, typed);
}
