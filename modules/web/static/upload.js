// Sends a file in pieces by tus 1.0: what breaks off goes on by itself, and after a reload with the same file.

import "/static/vendor/tus-js-client-4.3.1/tus.min.js"; // no module: it makes a global one
import { ApiError } from "/static/api.js";
import { languageNow } from "/static/words.js";

const { tus } = globalThis;
// A proxy may keep a piece until it is whole: no more than one is lost with it.
const PIECE_BYTES = 8 * 2 ** 20;
const FIRST_MS = 1000, MOST_MS = 60_000, KEPT_MS = 24 * 3_600_000;
// So long another window has to answer.
const ANSWER_MS = 200;
const OPTIONS = { endpoint: `${location.origin}/files`, retryDelays: null };

/** Of an answer that says nothing about the upload itself. */
const passes = (status) => status === 0 || status === 401 || status === 423 || status === 429 || (status >= 500 && status !== 507);

function problemOf(error) {
  const answer = error.originalResponse;
  const status = answer?.getStatus() ?? error.causingError?.status ?? 0;
  try {
    return new ApiError(status, JSON.parse(answer.getBody()));
  } catch {
    return new ApiError(status, null);
  }
}

/** tus would begin anew after any error to a HEAD: only where the upload is gone it should. */
function checkAnswer(request, response) {
  const status = response.getStatus();
  if (request.getMethod() === "HEAD" && status >= 300 && status !== 404 && status !== 410) throw Object.assign(new Error("later"), { status });
}

/**
 * Begin to send a file. `on.progress(share)` gets 0 to 1, `on.waiting(problem)` what it waits for.
 * `done` resolves with the name that the file got; null after `cancel()`. `wake()`: try now, if it waits.
 */
export function send(file, on) {
  let pause = FIRST_MS, timer, settle;
  const done = new Promise((resolve, reject) => (settle = { resolve, reject }));
  const again = () => {
    clearTimeout(timer);
    timer = undefined;
    upload.start();
  };
  const upload = new tus.Upload(file, {
    ...OPTIONS,
    headers: { "X-Requested-With": "page", "Accept-Language": languageNow() },
    chunkSize: PIECE_BYTES,
    removeFingerprintOnSuccess: true,
    metadata: { filename: file.name, filetype: file.type, if_exists: "rename" },
    onAfterResponse: checkAnswer,
    onProgress: (sent, total) => on.progress(total ? sent / total : 1),
    onChunkComplete: () => (pause = FIRST_MS),
    onUploadUrlAvailable: () => sending.set(file, upload.url),
    onSuccess: ({ lastResponse }) => sending.delete(file) && settle.resolve(decodeURIComponent(lastResponse.getHeader("Upload-Filename") ?? file.name)),
    onError: async (error) => {
      const problem = problemOf(error);
      const goesOn = passes(problem.status) || problem.code === "wrong_offset";
      if (!goesOn) {
        sending.delete(file);
        await release(upload.url); // or it would come back after a reload
        return settle.reject(problem);
      }
      if (problem.status === 0 && !(await isReadable(file))) return settle.reject(new ApiError(-1, null));
      on.waiting(problem);
      timer = setTimeout(again, pause);
      pause = Math.min(MOST_MS, 2 * pause);
    },
  });
  upload.findPreviousUploads().then((found) => {
    const last = found.filter(isFresh).sort((a, b) => new Date(b.creationTime) - new Date(a.creationTime))[0];
    if (last) upload.resumeFromPreviousUpload(last);
    upload.start();
  });
  return {
    done,
    wake: () => timer !== undefined && again(),
    cancel: () => {
      clearTimeout(timer);
      sending.delete(file);
      settle.resolve(null);
      return upload.abort(true).catch(() => {}); // it expires
    },
  };
}

const isFresh = ({ creationTime }) => Date.now() - new Date(creationTime) < KEPT_MS;

/** A file that was changed or deleted breaks off like a connection. */
async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

// What this window sends, {file: address}; other windows ask for it.
const sending = new Map(), tabs = new BroadcastChannel("transcriber.uploads");
tabs.onmessage = ({ data }) => data === "who sends?" && sending.size && tabs.postMessage([...sending.values()]);

async function sentElsewhere() {
  const found = new Set(), asking = new BroadcastChannel("transcriber.uploads");
  asking.onmessage = ({ data }) => Array.isArray(data) && data.forEach((address) => found.add(address));
  asking.postMessage("who sends?");
  await new Promise((go) => setTimeout(go, ANSWER_MS));
  asking.close();
  return found;
}

/** Keep nothing of an upload here; the service removes its part by itself. */
async function release(address) {
  const storage = tus.defaultOptions.urlStorage;
  const found = await storage.findAllUploads();
  await Promise.all(found.filter(({ uploadUrl }) => uploadUrl === address).map((each) => storage.removeUpload(each.urlStorageKey)));
}

async function forget(address) {
  await release(address);
  await tus.Upload.terminate(address, { ...tus.defaultOptions, ...OPTIONS }).catch(() => {}); // it expires
}

/** What an earlier visit began and no window sends: `{name, size, forget()}`. */
export async function unfinished() {
  const storage = tus.defaultOptions.urlStorage;
  const found = await storage.findAllUploads();
  await Promise.all(found.filter((each) => !isFresh(each)).map((each) => storage.removeUpload(each.urlStorageKey)));
  const left = found.filter(isFresh), elsewhere = left.length ? await sentElsewhere() : new Set();
  return left.filter(({ uploadUrl }) => !elsewhere.has(uploadUrl)).map(({ metadata, size, uploadUrl }) => ({ name: metadata.filename, size, forget: () => forget(uploadUrl) }));
}
