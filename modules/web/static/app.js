// The page: what it knows, what it asks the service for, and when.

import { Component, html, render } from "/static/vendor/htm-3.1.1/standalone.module.js";
import * as api from "/static/api.js";
import { Side } from "/static/list.js";
import { linkTo, titleOf } from "/static/names.js";
import { send, unfinished } from "/static/upload.js";
import { Live, unfinished as unfinishedLive } from "/static/live.js";
import { Finished, Unfinished } from "/static/recording.js";
import { Speaking } from "/static/speaking.js";
import { chooseLanguage, languageNow, say } from "/static/words.js";

// How often the list is asked for: while something is done, when nothing is, and how long after a deed it is the former.
const BUSY_MS = 1000, QUIET_MS = 4000, AFTER_MS = 10_000, PAGE = 200;
// Texts are searched so long after the last letter, and for so many letters.
const TYPING_MS = 250, LETTERS = 2;
const LIVE_LANGUAGE = "transcriber.live-language";
const THEME = "transcriber.theme", LOGGED_IN = "transcriber.logged-in";

function placeOf(hash) {
  const asked = new URLSearchParams(hash.slice(1));
  return { current: asked.get("name"), start: Number(asked.get("t")) || 0, speaking: asked.has("live") };
}

class App extends Component {
  constructor() {
    super();
    this.busyUntil = 0;
    const theme = localStorage.getItem(THEME);
    const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    this.state = {
      tasks: [], total: 0, paused: false, sent_to: [], stays_here: false, loaded: false, contains: "", found: null, searching: false, limit: PAGE, uploads: [], over: false, dark,
      ...placeOf(location.hash), content: null, missing: false, away: false, locked: false, wrong: null, loggedIn: Boolean(localStorage.getItem(LOGGED_IN)), said: null, asking: null, keys: false,
      offersLive: false, noLive: null, workers: null, live: null, liveLanguage: localStorage.getItem(LIVE_LANGUAGE) ?? "auto",
    };
    this.actions = {
      find: (contains) => this.find(contains),
      more: () => this.setState({ limit: Math.min(500, this.state.limit + PAGE) }, () => this.refreshList()),
      choose: () => this.picker.click(),
      dismiss: (id) => this.dismiss(id),
      pause: () => this.act(api.pause), resume: () => this.act(api.resume),
      first: (name) => this.act(() => api.first(name)),
      retry: (name) => this.act(async () => { const found = await api.retry(name); location.hash = linkTo(found.filename); }, "retried"),
      remove: (name) => this.setState({ asking: name }),
      otherLanguage: () => { chooseLanguage(languageNow() === "en" ? "ru" : "en"); this.setState({ content: null }, () => { this.state.noLive && this.offerLive(); this.refresh(); }); },
      otherTheme: () => this.setState({ dark: !this.state.dark }, () => localStorage.setItem(THEME, this.state.dark ? "dark" : "light")),
      logout: () => this.answered(async () => {
        await api.logout();
        localStorage.removeItem(LOGGED_IN);
        location.assign("/");
      }),
      speak: () => this.speak(),
      speakAgain: () => this.setState({ live: null }),
      liveLanguage: (code) => this.setState({ liveLanguage: code }, () => localStorage.setItem(LIVE_LANGUAGE, code)),
      keep: (seconds) => (this.state.start = seconds),
      showKeys: () => this.setState({ keys: true }),
    };
  }

  componentDidMount() {
    addEventListener("hashchange", () => this.setState({ ...placeOf(location.hash), content: null, missing: false, said: null }, () => this.refreshOne()));
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
    document.addEventListener("keydown", (event) => this.key(event));
    this.acceptDrops();
    this.above = Promise.allSettled([this.recall(), this.offerLive()]);
    this.refresh();
  }

  /** Whether there is live text; a session that a reload cut off goes on. */
  async offerLive() {
    await this.answered(async () => {
      const { enabled, message } = await api.sessions();
      this.setState({ offersLive: enabled, noLive: message }, () => enabled && unfinishedLive() && !this.state.live && this.speak());
    });
  }

  speak() {
    const live = new Live(this.state.liveLanguage, {
      changed: () => this.setState({}),
      stored: (recording) => {
        const watched = this.state.speaking;
        this.busyUntil = Date.now() + AFTER_MS;
        this.setState({ live: null }, () => (watched ? (location.hash = linkTo(recording)) : this.refresh()));
      },
    });
    this.setState({ live }, () => live.start());
    if (!this.state.speaking) location.hash = "live";
  }

  componentDidUpdate() {
    const { current, locked, speaking, loaded, tasks, contains } = this.state;
    const one = current || locked || speaking, empty = !one && loaded && !tasks.length && !contains;
    document.getElementById("app").className = `app${one ? " one" : ""}${locked ? " locked" : ""}${empty ? " empty" : ""}`;
    document.documentElement.dataset.theme = this.state.dark ? "dark" : "light";
    document.title = this.state.current ? `${titleOf(this.state.current)} – ${say("title")}` : say("title");
  }

  // --- asking ---

  async refresh() {
    clearTimeout(this.timer);
    try {
      await this.refreshList();
      if ((this.state.found || this.state.searching) && Date.now() - this.searchedAt >= QUIET_MS) await this.searchTexts(); // texts come and go
      if (!this.state.content || this.state.content.task.state !== "completed") await this.refreshOne();
    } finally {
      this.askAgain();
    }
  }

  askAgain() {
    const busy = Date.now() < this.busyUntil || this.state.tasks.some((task) => task.state === "processing" || task.queue_position !== null);
    if (!document.hidden && !this.state.locked) this.timer = setTimeout(() => this.refresh(), busy ? BUSY_MS : QUIET_MS);
  }

  async refreshList() {
    const { contains, limit } = this.state;
    await this.answered(async () => {
      // What stands above the list comes first, or it would move under the pointer.
      const [found] = await Promise.all([api.tasks(contains, limit), this.above]);
      if (this.state.contains === contains) this.setState({ tasks: found.tasks, total: found.total, paused: found.paused, sent_to: found.sent_to, stays_here: found.stays_here, workers: found.workers, loaded: true });
    });
  }

  find(contains) {
    clearTimeout(this.typing);
    const letters = contains.match(/[\p{L}\p{N}]/gu)?.length ?? 0;
    const searching = letters >= LETTERS;
    this.setState({ contains, limit: PAGE, searching, ...(searching ? {} : { found: null }) }, () => this.refreshList());
    if (searching) this.typing = setTimeout(() => this.searchTexts(), TYPING_MS);
  }

  async searchTexts() {
    const { contains } = this.state;
    this.searchedAt = Date.now();
    await this.answered(async () => {
      const found = await api.search(contains);
      if (this.state.contains === contains) this.setState({ found, searching: false });
    });
  }

  async refreshOne() {
    const { current } = this.state;
    if (!current) return;
    await this.answered(async () => {
      try {
        const content = await api.task(current);
        if (this.state.current === current) this.setState({ content, missing: false });
      } catch (error) {
        if (error.status !== 404) throw error;
        if (this.state.current === current) this.setState({ content: null, missing: true });
      }
    });
  }

  /** Do it, and notice where the service is away or wants a key. */
  async answered(work) {
    try {
      await work();
      if (this.state.away) {
        this.setState({ away: false });
        this.sending?.wake();
      }
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      if (error.status === 401) this.setState({ locked: true });
      else if (error.status === 0 || error.status >= 500) this.setState({ away: true });
      else this.setState({ said: say("problem", { why: error.message }) });
    }
  }

  async act(work, after = null) {
    this.setState({ said: null });
    this.busyUntil = Date.now() + AFTER_MS;
    await this.answered(async () => { await work(); this.setState({ said: after && say(after) }); });
    await this.refresh();
  }

  // --- files that are dropped ---

  acceptDrops() {
    const files = (event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragover", (event) => { if (files(event)) { event.preventDefault(); this.state.over || this.setState({ over: true }); } });
    addEventListener("dragleave", (event) => event.relatedTarget === null && this.setState({ over: false }));
    addEventListener("drop", async (event) => {
      if (!files(event)) return;
      event.preventDefault();
      this.setState({ over: false });
      const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
      const found = entries.length ? (await Promise.all(entries.map(filesOf))).flat() : [...event.dataTransfer.files];
      this.send(found);
    });
  }

  /** What an earlier visit left half sent: browsers do not keep the files. */
  async recall() {
    const rows = (await unfinished()).map((each) => ({ ...each, id: newId(), left: true }));
    if (rows.length) this.setState({ uploads: [...rows, ...this.state.uploads] });
  }

  /** Takes a row away; an upload that is not done is cancelled with it. */
  dismiss(id) {
    const row = this.state.uploads.find((each) => each.id === id);
    this.setState({ uploads: this.state.uploads.filter((each) => each.id !== id) });
    row?.forget?.();
    if (this.sendingId === id) this.sending.cancel();
  }

  /** One after the other: they share one line. */
  async send(files) {
    const before = location.hash;
    const queued = files.map((file) => ({ id: newId(), name: file.name, file, percent: 0, waits: false, failed: null }));
    const isSame = (row) => row.left && files.some((file) => file.name === row.name && file.size === row.size);
    this.setState({ uploads: [...this.state.uploads.filter((row) => !isSame(row)), ...queued] });
    const turn = (this.turn ?? Promise.resolve()).then(async () => {
      for (const row of queued) await this.sendOne(row, queued.length === 1 && (() => location.hash === before));
    });
    this.turn = turn;
    await turn;
  }

  async sendOne({ id, file }, opens) {
    if (!this.state.uploads.some((each) => each.id === id)) return; // cancelled before its turn
    const change = (facts) => this.setState({ uploads: this.state.uploads.map((each) => (each.id === id ? { ...each, ...facts } : each)) });
    this.sendingId = id;
    this.sending = send(file, {
      progress: (share) => change({ percent: Math.floor(100 * share), waits: false }),
      waiting: (problem) => {
        change({ waits: true, why: problem.status > 0 && problem.status !== 401 ? problem.message : null });
        if (problem.status === 401) this.setState({ locked: true });
      },
    });
    try {
      const name = await this.sending.done;
      this.setState({ uploads: this.state.uploads.filter((each) => each.id !== id) });
      if (name !== null && opens && opens()) location.hash = linkTo(name);
    } catch (error) {
      change({ failed: error.status === -1 ? say("uploadUnreadable") : error.message });
    }
    this.sending = this.sendingId = null;
    this.busyUntil = Date.now() + AFTER_MS;
    await this.refresh();
  }

  // --- people ---

  key(event) {
    if (event.target.closest?.("input, textarea, select, [contenteditable], dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" || (event.code === "Slash" && !event.shiftKey)) {
      event.preventDefault();
      document.getElementById("search")?.focus();
    } else if (event.key === "?" || (event.code === "Slash" && event.shiftKey)) this.setState({ keys: true });
  }

  async login(event) {
    event.preventDefault();
    const given = new FormData(event.target);
    try {
      await api.login(given.get("user"), given.get("key"));
      localStorage.setItem(LOGGED_IN, "yes");
      this.setState({ locked: false, wrong: null, loggedIn: true }, () => { this.above = this.offerLive(); this.refresh(); });
      this.sending?.wake();
    } catch (error) {
      this.setState({ wrong: say({ 401: "loginWrong", 429: "loginMany" }[error.status] ?? "away") });
    }
  }

  /** The recording is left before it is gone, so that nothing asks for its sound any more. */
  async removeAsked() {
    const { asking: name, current } = this.state;
    this.setState({ asking: null });
    if (current === name) {
      await new Promise((left) => this.setState({ current: null, content: null }, left));
      location.hash = "";
    }
    await this.act(() => api.remove(name));
  }

  renderMain() {
    const { current, start, content, missing, tasks, sent_to, stays_here, loaded, locked, wrong, contains, speaking, live, liveLanguage, noLive, workers } = this.state;
    if (locked)
      return html`<div class="state"><h1>${say("loginTitle")}</h1><p>${say("loginText")}</p><form onSubmit=${(event) => this.login(event)}>
        <label>${say("loginKey")}<input id="key" name="key" type="password" autocomplete="current-password" required autofocus /></label>
        <details><summary>${say("loginWithUser")}</summary><label>${say("loginUser")}<input id="user" name="user" autocomplete="username" /></label></details>
        ${wrong && html`<p class="bad-text" role="alert">${wrong}</p>`}<button class="btn primary">${say("loginGo")}</button></form></div>`;
    if (speaking && noLive && !live) return html`<div class="state"><a class="back btn" href="#">‹ ${say("back")}</a><h1>${say("noLive")}</h1><p>${noLive}</p></div>`;
    if (speaking) return html`<${Speaking} live=${live} language=${liveLanguage} actions=${this.actions} />`;
    if (current && missing) return html`<div class="state"><a class="back btn" href="#">‹ ${say("back")}</a><h1>${say("goneTitle")}</h1><p>${say("goneText")}</p></div>`;
    if (current && content?.task.filename === current) {
      const key = `${current} ${content.task.state} ${languageNow()}`;
      return content.task.state === "completed"
        ? html`<${Finished} key=${key} name=${current} content=${content} start=${start} actions=${this.actions} />`
        : html`<${Unfinished} name=${current} content=${content} actions=${this.actions} worker=${workers?.find((each) => each.filename === current)} />`;
    }
    if (!loaded || current) return null;
    if (tasks.length || contains) return html`<div class="state"><h1>${say("pickTitle")}</h1><p>${say("pickText")}</p></div>`;
    return html`<div class="state"><h1>${say("emptyTitle")}</h1><p>${say("emptyText")} ${sent_to.length > 0 ? say("goesTo", { hosts: sent_to.join(", ") }) : stays_here && say("staysHere")}</p><button class="btn primary" onClick=${this.actions.choose}>${say("choose")}</button></div>`;
  }

  render() {
    const { locked, away, said, asking, keys } = this.state;
    const opened = (dialog) => dialog && !dialog.open && dialog.showModal();
    return html`${!locked && html`<${Side} state=${this.state} actions=${this.actions} />`}
      ${(away || said) && html`<div class="notices">
        ${away && html`<div class="strip bad" role="alert">${say("away")}</div>`}
        ${said && html`<div class="strip" role="status">${said}<button class="btn" onClick=${() => this.setState({ said: null })}>${say("dismiss")}</button></div>`}
      </div>`}
      <main class="main">
        ${this.renderMain()}
      </main>
      <input type="file" multiple class="hidden" tabindex="-1" aria-hidden="true" ref=${(picker) => (this.picker = picker)} onChange=${(event) => { this.send([...event.target.files]); event.target.value = ""; }} />
      ${asking && html`<dialog ref=${opened} aria-labelledby="ask" onClose=${() => this.setState({ asking: null })}><h2 id="ask">${say("deleteAsk", { name: titleOf(asking) })}</h2><p>${say("deleteText")}</p><div class="row"><button class="btn" autofocus onClick=${(event) => event.target.closest("dialog").close()}>${say("cancel")}</button><button class="btn danger" onClick=${() => this.removeAsked()}>${say("deleteYes")}</button></div></dialog>`}
      ${keys && html`<dialog ref=${opened} aria-labelledby="keys" onClose=${() => this.setState({ keys: false })}><h2 id="keys">${say("keys")}</h2><table><tbody>${say("keyTable").map(([key, does]) => html`<tr><td>${key.split("  ").map((each) => html`<kbd>${each}</kbd> `)}</td><td>${does}</td></tr>`)}</tbody></table><div class="row"><button class="btn" onClick=${(event) => event.target.closest("dialog").close()}>${say("close")}</button></div></dialog>`}`;
  }
}

const newId = () => crypto.randomUUID?.() ?? `${Math.random()}`;

/** Every file below what was dropped. */
function filesOf(entry) {
  if (entry.isFile) return new Promise((resolve) => entry.file((file) => resolve([file]), () => resolve([])));
  const reader = entry.createReader();
  const read = () => new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
  return (async () => {
    const found = [];
    for (let part = await read(); part.length; part = await read()) found.push(...(await Promise.all(part.map(filesOf))).flat());
    return found;
  })();
}

render(html`<${App} />`, document.getElementById("app"));
