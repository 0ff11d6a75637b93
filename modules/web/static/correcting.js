// What a person does to the text of one recording: typing, confirming, naming voices, putting back; and what others do.

import * as api from "/static/api.js";
import { replaced } from "/static/diff.js";
import * as drafts from "/static/drafts.js";
import { Edits } from "/static/edits.js";
import { Transcript } from "/static/transcript.js";
import { changeIn, Typing } from "/static/typing.js";
import { say } from "/static/words.js";

const LOOK_MS = 4000, AT_ONCE = 200;
const PROBLEMS = { edit_depends: "dependsOn", too_many_corrections: "tooManyEdits", edits_unreadable: "editsUnreadable" };

/** `changed()` is called when something to show is different: `state`, `conflicts`, `problem`, `content`. */
export class Correcting {
  constructor(name, content, view, { changed, onToggle, onEnd }) {
    this.name = name;
    this.content = content;
    this.view = view;
    this.changed = changed;
    this.conflicts = [];
    this.problem = null;
    /** The texts that drafts began from, or that they became when they were stored. */
    this.bases = new Map();
    this.edits = new Edits(name, content.version, {
      onChange: (answer, work) => this.#stored(answer, work), onState: () => this.changed(),
      onConflict: (work) => this.#refused(work), onProblem: (error, work) => this.#failed(error, work),
    });
    this.typing = new Typing(view, say("correcting"), {
      onToggle, onBegin: (id) => this.bases.has(id) || this.bases.set(id, this.#textOf(id)),
      onTyped: (id, typed) => drafts.keep(name, id, this.bases.get(id), typed), onSave: (id, typed) => this.save(id, typed),
      onEnd: (how, id, offset) => { if (how === "split") this.split(id, offset); onEnd(how); },
    });
    for (const [id, { base, typed }] of drafts.left(name)) {
      this.bases.set(id, base);
      this.save(id, typed);
    }
    this.timer = setInterval(() => this.#look(), LOOK_MS);
  }

  get transcript() { return this.view.transcript; }

  #textOf(id) { return this.transcript.segments[this.transcript.placeOf(id)]?.text; }

  // --- what a person does ---

  /** Store what was typed in a segment, unless somebody else has changed it since. */
  save(id, typed) {
    const make = () => {
      const base = this.bases.get(id);
      if (this.#textOf(id) === undefined || (base !== undefined && this.#textOf(id) !== base)) {
        this.#noteConflict(id, typed);
        return [];
      }
      const change = changeIn(this.transcript, id, typed);
      if (!change) drafts.forget(this.name, id, typed);
      return change ? [{ op: "words", segment: id, ...change }] : [];
    };
    return this.edits.add(make, { draft: { id, typed } });
  }

  confirm(passage) { return this.edits.add(() => this.transcript.confirmations(passage)); }

  /** A new segment behind so many characters. */
  split(id, offset) {
    return this.edits.add(() => {
      const index = this.transcript.placeOf(id);
      if (index === undefined) return [];
      const words = this.transcript.words(index), { text } = this.transcript.segments[index], lead = text.length - text.trimStart().length;
      const word = words.filter((each) => each.to - lead <= offset).length;
      return word > 0 && word < words.length ? [{ op: "split", segment: id, word }] : [];
    });
  }

  putBack(dropped) { return this.edits.add(() => [{ op: "restore_dropped", dropped: dropped.id, was: dropped.text }]); }
  renameSpeaker(was, now) { return was === now ? null : this.edits.add(() => [{ op: "rename_speaker", was, now }]); }

  setSpeaker(ids, was, now) {
    return was === now ? null : this.edits.add(() => ids.map((segment) => ({ op: "speaker", segment, was, now })));
  }

  /** How often a text is found. */
  count(find, matchCase) {
    return find ? this.transcript.segments.reduce((sum, { text }) => sum + (replaced(text, find, "", matchCase)?.count ?? 0), 0) : 0;
  }

  /** Resolves with how many places were replaced. */
  async replaceAll(find, by, matchCase) {
    const ids = this.transcript.segments.filter(({ text }) => replaced(text, find, by, matchCase)).map(({ id }) => id);
    let total = 0;
    for (let at = 0; at < ids.length; at += AT_ONCE) {
      let count = 0;
      const outcome = await this.edits.add(() => ids.slice(at, at + AT_ONCE).flatMap((segment) => {
        const found = replaced(this.#textOf(segment) ?? "", find, by, matchCase);
        const change = found && changeIn(this.transcript, segment, found.text);
        count += change ? found.count : 0;
        return change ? [{ op: "words", segment, ...change }] : [];
      }));
      if (outcome === "stored") total += count;
    }
    return total;
  }

  keepMine({ id, typed }) {
    this.#forget(id);
    this.bases.set(id, this.#textOf(id));
    this.save(id, this.typing.id === id ? this.typing.span.textContent : typed);
  }

  keepTheirs({ id }) {
    this.#forget(id);
    if (this.typing.id === id) this.typing.release();
    drafts.forget(this.name, id);
    this.bases.delete(id);
    this.view.refresh(this.transcript.placeOf(id));
  }

  // --- what the service says ---

  async #stored(answer, { draft, ops }) {
    this.problem = null;
    if (answer.reload || ops.some((op) => op.op === "speaker")) await this.reload();
    else this.#show(answer.segments);
    if (draft) {
      drafts.forget(this.name, draft.id, draft.typed);
      this.bases.set(draft.id, this.#textOf(draft.id));
    }
    for (const id of this.bases.keys()) if (this.typing.id !== id && !this.edits.work.some((each) => each.draft?.id === id && each.draft !== draft)) this.bases.delete(id);
    this.content = { ...this.content, corrections: Math.max(1, this.content.corrections) };
    this.changed();
  }

  #show(segments) {
    this.transcript.update(segments);
    for (const id of Object.keys(segments)) this.view.refresh(this.transcript.placeOf(id));
    this.view.markDoubts();
  }

  /** Somebody else was first: their text is shown, with what was typed here. */
  async #refused({ draft }) {
    await this.reload();
    if (draft) this.#noteConflict(draft.id, draft.typed);
    else this.problem = say("changedMeanwhile");
    this.changed();
  }

  #failed(error, { draft }) {
    this.problem = say(PROBLEMS[error.code] ?? "problem", { why: error.message });
    if (draft) this.#noteConflict(draft.id, draft.typed);
    this.changed();
  }

  async reload() {
    const content = await api.task(this.name);
    if (this.dead || !content?.segments) return;
    const writing = this.typing.release();
    this.content = content;
    this.edits.version = content.version;
    this.view.load(new Transcript(content));
    if (writing && !this.typing.resume(writing)) this.#noteConflict(writing.id, writing.typed);
    this.changed();
  }

  /** What others did. */
  async #look() {
    if (document.hidden || this.typing.active || !this.edits.idle) return;
    try {
      const found = await api.edits(this.name);
      if (found.version !== this.edits.version && this.edits.idle) await this.reload();
    } catch { /* the list says that the service is away */ }
  }

  #noteConflict(id, typed) {
    this.edits.dropDrafts(id);
    const text = this.typing.id === id ? this.typing.span.textContent : typed;
    const theirs = this.#textOf(id) ?? "", mine = text.replace(/\s+/g, " ").trim(), gone = this.#textOf(id) === undefined;
    if (mine === theirs.trim()) drafts.forget(this.name, id);
    else this.conflicts = [...this.conflicts.filter((each) => each.id !== id), { id, typed: text, mine, theirs, gone }];
    if (!gone) this.view.refresh(this.transcript.placeOf(id));
    this.changed();
  }

  #forget(id) {
    this.conflicts = this.conflicts.filter((each) => each.id !== id);
    this.changed();
  }

  /** What is still to be sent goes out; the answers are shown to nobody. */
  destroy() {
    clearInterval(this.timer);
    this.typing.finish();
    this.dead = true;
    this.changed = () => {};
  }
}
