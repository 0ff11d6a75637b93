// Correcting in place: one segment of the text can be written in at a time.

import { changeOf } from "/static/diff.js";

const SAVE_MS = 1000;
const ATTRIBUTES = ["contenteditable", "role", "aria-multiline", "aria-label", "spellcheck"];

/**
 * `does` has `onBegin(id)`, `onTyped(id, typed)` at each keystroke, `onSave(id, typed)` a second after the last one, `onToggle()`,
 * and `onEnd(how, id, offset)` when the person leaves: "enter", "escape", "away", or "split" behind so many characters.
 */
export class Typing {
  constructor(view, label, does) {
    this.view = view;
    this.label = label;
    this.does = does;
    this.id = null;
  }

  get active() { return this.id !== null; }

  /** Write in a segment; the characters from `from` to `to` are selected. */
  begin(index, from = 0, to = from) {
    this.finish();
    const { segments } = this.view.transcript;
    if (segments[index]) this.#open(segments[index].id, index);
    if (this.active) this.#select(from, to);
  }

  #open(id, index) {
    const span = this.view.spanOf(index);
    if (!span) return;
    this.id = id;
    this.span = span;
    this.dirty = false;
    this.does.onBegin(id);
    try {
      span.contentEditable = "plaintext-only";
    } catch {
      span.contentEditable = "true"; // older browsers
    }
    for (const [key, value] of [["role", "textbox"], ["aria-multiline", "true"], ["aria-label", this.label], ["spellcheck", "true"]]) span.setAttribute(key, value);
    span.oninput = () => this.#typed();
    span.onkeydown = (event) => this.#key(event);
    span.onblur = () => this.#leave("away");
    span.focus({ preventScroll: true });
    span.scrollIntoView({ block: "nearest" });
  }

  #select(from, to) {
    const node = this.span.firstChild;
    if (!node) return;
    const range = new Range(), at = (place) => Math.max(0, Math.min(node.length ?? 0, place));
    range.setStart(node, at(from));
    range.setEnd(node, at(to));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  }

  /** How many characters stand before the caret. */
  #caret() {
    const selection = getSelection();
    if (!selection.rangeCount || !this.span.contains(selection.focusNode)) return this.span.textContent.length;
    const range = selection.getRangeAt(0).cloneRange();
    range.setStart(this.span, 0);
    return range.toString().length;
  }

  #typed() {
    this.dirty = true;
    this.does.onTyped(this.id, this.span.textContent);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#save(), SAVE_MS);
  }

  #save() {
    clearTimeout(this.timer);
    if (!this.active || !this.dirty) return;
    this.dirty = false;
    this.does.onSave(this.id, this.span.textContent);
  }

  #key(event) {
    event.stopPropagation();
    if (event.code === "Space" && event.ctrlKey) {
      event.preventDefault();
      this.does.onToggle();
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      this.#leave(event.shiftKey ? "split" : "enter");
    } else if (event.key === "Escape") this.#leave("escape");
  }

  #leave(how) {
    if (!this.active) return;
    const { id } = this, before = this.span.textContent.slice(0, this.#caret()).replace(/\s+/g, " ").trimStart();
    this.finish();
    this.does.onEnd(how, id, before.length);
  }

  /** Stop, and store what was typed. */
  finish() {
    if (!this.active) return;
    this.#save();
    const { span, id } = this, index = this.view.transcript.placeOf(id);
    this.#close();
    const typed = span.textContent.replace(/\s+/g, " ").trim();
    if (index !== undefined && this.view.spanOf(index) === span) this.view.nodes[index] = document.createTextNode(typed);
    span.replaceChildren(this.view.nodes[index] ?? typed);
  }

  /** Stop without storing; what was typed since is in the answer. For a text that is shown anew. */
  release() {
    if (!this.active) return null;
    const { id, dirty } = this, found = { id, dirty, typed: this.span.textContent, caret: this.#caret() };
    this.#close();
    return found;
  }

  /** Go on where `release` stopped. False if there is no such segment any more. */
  resume({ id, typed, caret, dirty }) {
    const index = this.view.transcript.placeOf(id), span = index === undefined ? null : this.view.spanOf(index);
    if (!span) return false;
    this.view.nodes[index] = document.createTextNode(typed);
    span.replaceChildren(this.view.nodes[index]);
    this.#open(id, index);
    this.#select(caret, caret);
    if (dirty) this.#typed();
    return true;
  }

  #close() {
    const { span } = this;
    clearTimeout(this.timer);
    this.id = this.span = null;
    span.oninput = span.onkeydown = span.onblur = null;
    for (const name of ATTRIBUTES) span.removeAttribute(name);
    if (document.activeElement === span) span.blur();
  }
}

/** What was typed in a segment as a change of its words; null for none. */
export function changeIn(transcript, id, typed) {
  const index = transcript.placeOf(id);
  if (index === undefined) return null;
  const { text } = transcript.segments[index], lead = text.length - text.trimStart().length;
  const words = transcript.words(index).map((word) => ({ ...word, from: word.from - lead, to: word.to - lead }));
  return changeOf(text.trim(), words, typed);
}
