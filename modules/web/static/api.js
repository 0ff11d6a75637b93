// What the page asks the service for, in its language. Every failure is an ApiError with words for people.

import { languageNow } from "/static/words.js";

export class ApiError extends Error {
  constructor(status, body) {
    super([body?.message, body?.suggestion].filter(Boolean).join(" ") || `HTTP ${status}`);
    this.status = status;
    this.code = body?.error_code ?? "";
  }
}

const path = (name) => name.split("/").map(encodeURIComponent).join("/");
const known = new Map(); // what was answered last, with its tag, by address

async function ask(method, address, { body, headers = {} } = {}) {
  const sent = { method, headers: { "X-Requested-With": "page", "Accept-Language": languageNow(), ...headers }, cache: "no-store" };
  if (body !== undefined) {
    sent.body = JSON.stringify(body);
    sent.headers["Content-Type"] = "application/json";
  }
  const before = method === "GET" ? known.get(address) : undefined;
  if (before) sent.headers["If-None-Match"] = before.tag;
  let response;
  try {
    response = await fetch(address, sent);
  } catch {
    throw new ApiError(0, null);
  }
  if (response.status === 304 && before) return before.content;
  const isJson = (response.headers.get("Content-Type") ?? "").startsWith("application/json");
  let content = null;
  try {
    if (isJson) content = await response.json();
  } catch {
    throw new ApiError(0, null); // it broke off
  }
  if (!response.ok) throw new ApiError(response.status, content);
  if (method === "GET" && !content) throw new ApiError(0, null); // something else answers there
  const tag = response.headers.get("ETag");
  if (method === "GET" && tag && content) {
    if (known.size > 20) known.clear();
    known.set(address, { tag, content });
  }
  return content;
}

export const tasks = (contains, limit) =>
  ask("GET", `/api/tasks?${new URLSearchParams({ contains, limit: String(limit) })}`);
export const search = (q) => ask("GET", `/search?${new URLSearchParams({ q })}`);
export const task = (name) => ask("GET", `/api/tasks/${path(name)}`);
export const summary = (name) => ask("GET", `/api/summary/${path(name)}`);
export const makeSummary = (name) => ask("POST", `/api/summary/${path(name)}`);
export const edits = (name) => ask("GET", `/edits/${path(name)}`);
export const edit = (name, version, ops) => ask("PATCH", `/edits/${path(name)}`, { body: { version, ops } });
export const sessions = () => ask("GET", "/sessions");
export const remove = (name) => ask("DELETE", "/transcribe", { body: { filename: name } });
export const first = (name) => ask("POST", "/transcribe", { body: { filename: name } });
export const retry = (name) => ask("POST", `/manual/${path(name)}/retry`);
export const pause = () => ask("POST", "/pause");
export const resume = () => ask("POST", "/resume");
export const login = (user, key) =>
  ask("POST", "/login", { headers: user ? { Authorization: `Basic ${btoa(bytes(`${user}:${key}`))}` } : { "X-API-Key": bytes(key) } });
export const logout = () => ask("POST", "/logout");
/** `copy`: true for a copy that every browser plays, false for the recording itself; else whichever fits. */
export const soundOf = (name, copy) => `/audio/${path(name)}${copy === undefined ? "" : `?copy=${copy}`}`;
export const peaksOf = (name, points) => `/peaks/${path(name)}?points=${points}`;

/** What an address of a sound answers: its status; while it is made, how far that is and when to ask again. */
export async function look(address, signal) {
  try {
    const response = await fetch(address, { headers: { Range: "bytes=0-0" }, cache: "no-store", signal });
    const { percentage } = response.status === 202 ? await response.json() : {};
    return { status: response.status, percentage, after: Number(response.headers.get("Retry-After")) || 1 };
  } catch {
    return { status: 0 };
  }
}

export const textOf = (name, format, original = false) => `/result/${path(name)}?format=${format}${original ? "&original=true" : ""}`;

/** Header values are bytes: a key in Cyrillic goes as its UTF-8. */
const bytes = (text) => String.fromCharCode(...new TextEncoder().encode(text));
