// What a person changed in a text, as operations on its words.

/** The words around a change: from and to (numbers of words), and what stands there now; null for none. */
export function changeOf(text, words, typed) {
  const old = text, now = typed.replace(/\s+/g, " ").replace(/\p{Cc}/gu, "").trim();
  if (old.trim().replace(/\s+/g, " ") === now) return null;
  const [front, back] = common(old, now);
  const shift = now.length - old.length, ends = (sign) => sign === undefined || /\s/.test(sign);
  // A word is untouched if neither text goes on where it ends; scripts without spaces go on at once.
  const free = (place, side) => {
    const [before, after] = side > 0 ? [old[place], now[place]] : [old[place - 1], now[place - 1 + shift]];
    return ends(before) ? ends(after) : before === after || isGlued(before);
  };
  let from = 0;
  while (from < words.length && words[from].to <= front && free(words[from].to, 1)) from++;
  let to = words.length;
  while (to > from && words[to - 1].from >= old.length - back && free(words[to - 1].from, -1)) to--;
  const begin = from ? words[from - 1].to : 0, end = to < words.length ? words[to].from + shift : now.length;
  const said = now.slice(begin, Math.max(begin, end)).split(/\s+/).filter(Boolean);
  const was = words.slice(from, to).map((word) => word.text);
  return was.length || said.length ? { from, to, was, now: said } : null;
}

/** How many characters two texts share at their beginning, and at their end. */
function common(a, b) {
  const most = Math.min(a.length, b.length);
  let front = 0, back = 0;
  while (front < most && a[front] === b[front]) front++;
  while (back < most - front && a[a.length - 1 - back] === b[b.length - 1 - back]) back++;
  return [front, back];
}

const isGlued = (sign) => /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]/u.test(sign);

/** A text with `find` replaced everywhere, and how often; null where it is not in it. */
export function replaced(text, find, by, matchCase) {
  const pattern = new RegExp(find.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&"), matchCase ? "g" : "gi");
  const count = text.match(pattern)?.length ?? 0;
  return count ? { count, text: text.replace(pattern, () => by) } : null;
}
