// Corrections of one recording: sent one after the other, kept until they are stored, undone and done again.

import * as api from "/static/api.js";

const AGAIN_MS = 2000;

/** An id that no other page makes. */
const newId = () => `p${Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
const stay = (event) => event.preventDefault();

/**
 * `told` has `onChange(answer, work)` for what is stored, `onConflict(work)` where somebody else was first, `onProblem(error,
 * work)` where the service refuses, and `onState()`. `state` is "saved", "saving", "unsaved" or "refused".
 */
export class Edits {
  constructor(name, version, told) {
    this.name = name;
    this.version = version;
    this.told = told;
    this.state = "saved";
    this.work = [];
    this.done = [];
    this.undone = [];
  }

  /**
   * `make()` gives the operations when their turn comes, by the text as it is then; none for nothing to do.
   * Resolves with "stored", "nothing", "conflict" or "refused".
   */
  add(make, facts = {}) {
    return new Promise((settle) => {
      this.work.push({ make, kind: "do", settle, ...facts });
      this.#send();
    });
  }

  get canUndo() { return this.done.length > 0; }
  get canRedo() { return this.undone.length > 0; }
  get idle() { return !this.work.length && !this.sending; }

  undo() { return this.#back(this.done, "undo"); }
  redo() { return this.#back(this.undone, "redo"); }

  /** What is on its way counts too. */
  async #back(from, kind) {
    await this.sending;
    const ids = from.pop();
    return ids ? this.add(() => [...ids].reverse().map((of) => ({ op: "undo", of })), { kind }) : "nothing";
  }

  /** Whether anything is still to be stored of what was typed in a segment. */
  hasDraft(id) { return this.work.some((each) => each.draft?.id === id); }

  /** Forget what was typed in a segment and waits. */
  dropDrafts(id) {
    const dropped = this.work.filter((each, place) => place > 0 && each.draft?.id === id);
    this.work = this.work.filter((each) => !dropped.includes(each));
    for (const each of dropped) each.settle("conflict");
  }

  #send() {
    // What was typed is kept by the browser; the rest would be lost with the page.
    if (this.work.some((each) => !each.draft)) addEventListener("beforeunload", stay);
    this.sending ??= this.#sendAll().finally(() => {
      this.sending = null;
      if (this.work.length) this.#send(); // what came at the last moment
      else removeEventListener("beforeunload", stay);
    });
  }

  async #sendAll() {
    let refused = false;
    while (this.work.length) {
      const [each] = this.work;
      const outcome = await this.#one(each);
      if (outcome === "again") continue;
      this.work = this.work.filter((other) => other !== each);
      refused = outcome === "refused" || (refused && outcome !== "stored");
      each.settle(outcome);
    }
    this.#become(refused ? "refused" : "saved");
  }

  async #one(each) {
    try {
      each.ops ??= each.make().map((op) => ({ id: newId(), ...op }));
      return each.ops.length ? await this.#sendOne(each) : "nothing";
    } catch (error) {
      this.told.onProblem(error, each);
      return "refused";
    }
  }

  async #sendOne(each) {
    if (this.state !== "unsaved") this.#become("saving");
    try {
      each.answer ??= await api.edit(this.name, this.version, each.ops);
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      if (isAway(error)) return this.#later();
      if (error.code !== "edit_conflict") throw error;
      return this.#after(() => this.told.onConflict(each), "conflict");
    }
    this.version = each.answer.version;
    if (!each.noted) this.#note(each);
    return this.#after(() => this.told.onChange(each.answer, each), "stored");
  }

  /** What follows an answer may have to ask again, too. */
  async #after(work, outcome) {
    try {
      await work();
      return outcome;
    } catch (error) {
      if (!isAway(error)) throw error;
      return this.#later();
    }
  }

  async #later() {
    this.#become("unsaved");
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    return "again";
  }

  #note(each) {
    const ids = each.ops.map((op) => op.id);
    each.noted = true;
    if (each.kind === "undo") this.undone.push(ids);
    else this.done.push(ids);
    if (each.kind === "do") this.undone.length = 0;
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.told.onState();
  }
}

const isAway = (error) => error instanceof api.ApiError && (error.status === 0 || error.status >= 500 || error.status === 401);
