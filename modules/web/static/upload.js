// Sends a file in pieces by tus 1.0: what breaks off goes on by itself, and after a reload with the same file.

import "/static/vendor/tus-js-client-4.3.1/tus.min.js"; // no module: it makes a global one
import { ApiError } from "/static/api.js";
import { languageNow } from "/static/words.js";

const { tus } = globalThis;
// A proxy may keep a piece until it is whole: no more than one is lost with it.
const PIECE_BYTES = 8 * 2 ** 20;
const FIRST_MS = 1000, MOST_MS = 60_000, KEPT_MS = 24 * 3_600_000;
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
    onSuccess: ({ lastResponse }) => settle.resolve(decodeURIComponent(lastResponse.getHeader("Upload-Filename") ?? file.name)),
    onError: async (error) => {
      const problem = problemOf(error);
      const goesOn = passes(problem.status) || problem.code === "wrong_offset";
      if (!goesOn) return settle.reject(problem);
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

/** What an earlier visit began: `{name, size, forget()}`. */
export async function unfinished() {
  const storage = tus.defaultOptions.urlStorage;
  const found = await storage.findAllUploads();
  await Promise.all(found.filter((each) => !isFresh(each)).map((each) => storage.removeUpload(each.urlStorageKey)));
  return found.filter(isFresh).map(({ metadata, size, uploadUrl, urlStorageKey }) => ({
    name: metadata.filename,
    size,
    forget: async () => {
      await storage.removeUpload(urlStorageKey);
      await tus.Upload.terminate(uploadUrl, { ...tus.defaultOptions, ...OPTIONS }).catch(() => {}); // it expires
    },
  }));
}
