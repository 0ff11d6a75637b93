// What a person does to the text of one recording: typing, confirming, naming voices, putting back; and what others do.

import * as api from "/static/api.js";
import { replaced } from "/static/diff.js";
import { Edits, unsent } from "/static/edits.js";
import { Transcript } from "/static/transcript.js";
import { changeIn, saveDraft, Typing } from "/static/typing.js";
import { say } from "/static/words.js";

const LOOK_MS = 4000;

/** `changed()` is called when something to show is different: `state`, `conflicts`, `problem`, `content`. */
export class Correcting {
  constructor(name, content, view, { changed, onToggle, onEnd }) {
    this.name = name;
    this.content = content;
    this.view = view;
    this.changed = changed;
    this.conflicts = [];
    this.problem = null;
    this.edits = new Edits(name, content.version, {
      onChange: (answer, work) => this.#stored(answer, work), onState: changed,
      onConflict: (work) => this.#refused(work), onProblem: (error) => { this.problem = error.message; changed(); },
    });
    this.typing = new Typing(name, view, this.edits, { label: say("correcting"), onToggle, onEnd: (how, id, word) => { if (how === "split") this.split(id, word); onEnd(how); } });
    for (const [id, { base, typed }] of Object.entries(unsent.read(name))) this.#takeUp(id, base, typed);
    this.timer = setInterval(() => this.#look(), LOOK_MS);
  }

  get transcript() { return this.view.transcript; }
  get state() { return this.edits.state; }

  // --- what a person does ---

  confirm(passage) { return this.edits.add(() => this.transcript.confirmations(passage)); }
  split(id, word) { return word ? this.edits.add(() => [{ op: "split", segment: id, word }]) : null; }
  putBack(dropped) { return this.edits.add(() => [{ op: "restore_dropped", dropped: dropped.id, was: dropped.text }]); }
  renameSpeaker(was, now) { return was === now ? null : this.edits.add(() => [{ op: "rename_speaker", was, now }]); }

  setSpeaker(indexes, was, now) {
    const ids = indexes.map((index) => this.transcript.segments[index].id);
    return was === now ? null : this.edits.add(() => ids.map((segment) => ({ op: "speaker", segment, was, now })));
  }

  /** How often a text is found. */
  count(find, matchCase) {
    return find ? this.transcript.segments.reduce((sum, { text }) => sum + (replaced(text, find, "", matchCase)?.count ?? 0), 0) : 0;
  }

  async replaceAll(find, by, matchCase) {
    const all = this.transcript.segments.flatMap(({ id, text }) => {
      const found = replaced(text, find, by, matchCase);
      return found ? [[id, found.text]] : [];
    });
    for (let at = 0; at < all.length; at += 200)
      await this.edits.add(() => all.slice(at, at + 200).flatMap(([segment, text]) => {
        const change = changeIn(this.transcript, segment, text);
        return change ? [{ op: "words", segment, ...change }] : [];
      }));
  }

  keepMine({ id, typed }) {
    this.#forget(id);
    saveDraft(this.name, () => this.transcript, this.edits, id, typed);
  }

  keepTheirs({ id }) {
    this.#forget(id);
    unsent.note(this.name, id, null);
  }

  // --- what the service says ---

  async #stored(answer, { draft, ops }) {
    if (draft && unsent.read(this.name)[draft.id]?.typed === draft.typed) unsent.note(this.name, draft.id, null);
    this.problem = null;
    if (answer.reload || ops?.some((op) => op.op === "speaker")) return this.reload();
    this.transcript.update(answer.segments);
    for (const [id, segment] of Object.entries(answer.segments)) {
      const index = this.transcript.placeOf(id);
      if (!segment || index === undefined) return this.reload();
      this.view.refresh(index);
    }
    this.view.markDoubts();
    this.content = { ...this.content, corrections: Math.max(1, this.content.corrections) };
    this.changed();
  }

  /** Somebody else was first: their text is shown, with what was typed here. */
  async #refused({ draft }) {
    await this.reload();
    if (draft) this.#noteConflict(draft.id, draft.typed);
    else this.problem = say("changedMeanwhile");
    this.changed();
  }

  async reload() {
    const { typing } = this, writing = typing.active ? { id: typing.id, typed: typing.span.textContent } : null;
    const content = await api.task(this.name);
    if (!content?.segments) return;
    this.content = content;
    this.edits.version = content.version;
    if (writing) typing.finish();
    this.view.load(new Transcript(content));
    if (writing && this.transcript.placeOf(writing.id) !== undefined) typing.begin(this.transcript.placeOf(writing.id), writing.typed.length);
    this.changed();
  }

  /** What others did. */
  async #look() {
    if (document.hidden || this.typing.active || !this.edits.idle) return;
    try {
      const found = await api.edits(this.name);
      if (found.version !== this.edits.version && this.edits.idle && !this.typing.active) await this.reload();
    } catch { /* the list says that the service is away */ }
  }

  #takeUp(id, base, typed) {
    const index = this.transcript.placeOf(id);
    if (index !== undefined && this.transcript.segments[index].text === base) saveDraft(this.name, () => this.transcript, this.edits, id, typed);
    else this.#noteConflict(id, typed);
  }

  #noteConflict(id, typed) {
    const index = this.transcript.placeOf(id), theirs = index === undefined ? "" : this.transcript.segments[index].text;
    const mine = typed.replace(/\s+/g, " ").trim();
    if (mine === theirs.trim()) unsent.note(this.name, id, null);
    else this.conflicts = [...this.conflicts.filter((each) => each.id !== id), { id, typed, mine, theirs, gone: index === undefined }];
  }

  #forget(id) {
    this.conflicts = this.conflicts.filter((each) => each.id !== id);
    this.changed();
  }

  destroy() {
    clearInterval(this.timer);
    this.typing.finish();
    // What is still to be sent goes out; the answer is nobody's any more.
    this.changed = () => {};
  }
}
