// The address of a recording on the page, and its name without folder and ending.

export const linkTo = (name, seconds) => `#${new URLSearchParams({ name, ...(seconds ? { t: String(Number(seconds.toFixed(3))) } : {}) })}`;
export const titleOf = (name) => name.slice(name.lastIndexOf("/") + 1).replace(/\.[^.]+$/, "");
