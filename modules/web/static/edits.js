// Corrections of one recording: sent one after the other, kept until they are stored, undone and done again.

import * as api from "/static/api.js";

const AGAIN_MS = 2000;
const KEPT = "transcriber.unsent.";

/** An id that no other page makes. */
const newId = () => `p${Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;

/**
 * `onChange(answer)` gets what is stored, `onState()` is called when `state` changes, `onConflict(work)` when somebody else
 * was first, `onProblem(error)` when the service refuses. `state` is "saved", "saving" or "unsaved".
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

  /** `make()` gives the operations when their turn comes, by the text as it is then; none for nothing to do. */
  add(make, facts = {}) {
    this.work.push({ make, kind: "do", ...facts });
    return this.#send();
  }

  get canUndo() { return this.done.length > 0; }
  get canRedo() { return this.undone.length > 0; }

  undo() { return this.#back(this.done, "undo"); }
  redo() { return this.#back(this.undone, "redo"); }

  /** What is on its way counts too. */
  async #back(from, kind) {
    await this.sending;
    const ids = from.pop();
    if (ids) this.work.push({ make: () => undosOf(ids), kind });
    await this.#send();
  }

  get idle() { return !this.work.length && !this.sending; }

  #send() {
    this.sending ??= this.#sendAll().finally(() => {
      this.sending = null;
      return this.work.length && !this.closed ? this.#send() : undefined; // what came at the last moment
    });
    return this.sending;
  }

  async #sendAll() {
    while (this.work.length && !this.closed) {
      const [each] = this.work;
      each.ops ??= each.make().map((op) => ({ id: newId(), ...op }));
      if (each.ops.length && !(await this.#sendOne(each))) continue;
      this.work.shift();
    }
    if (!this.work.length) this.#become("saved");
  }

  /** False if it is to be sent again. */
  async #sendOne(each) {
    if (this.state === "saved") this.#become("saving");
    try {
      const answer = await api.edit(this.name, this.version, each.ops);
      this.version = answer.version;
      this.#note(each);
      await this.told.onChange(answer, each);
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      if (error.status === 0 || error.status >= 500 || error.status === 401) {
        this.#become("unsaved");
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
        return false;
      }
      if (error.code === "edit_conflict") await this.told.onConflict(each);
      else this.told.onProblem(error);
    }
    return true;
  }

  #note({ kind, ops }) {
    const ids = ops.map((op) => op.id);
    if (kind === "undo") this.undone.push(ids);
    else this.done.push(ids);
    if (kind === "do") this.undone.length = 0;
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.told.onState();
  }

  close() { this.closed = true; }
}

const undosOf = (ids) => [...ids].reverse().map((of) => ({ op: "undo", of }));

/** What was typed and is not stored yet, also after the browser was closed: {id: {base, typed}}. */
export const unsent = {
  read(name) {
    try {
      return JSON.parse(localStorage.getItem(KEPT + name)) ?? {};
    } catch {
      return {};
    }
  },
  note(name, id, draft) {
    const all = unsent.read(name);
    if (draft) all[id] = draft;
    else delete all[id];
    if (Object.keys(all).length) localStorage.setItem(KEPT + name, JSON.stringify(all));
    else localStorage.removeItem(KEPT + name);
  },
};
