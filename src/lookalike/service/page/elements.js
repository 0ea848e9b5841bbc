// Elements in one line, by text only: nothing here ever reads markup.

export const $ = (id) => document.getElementById(id);

/** `make("a.card", { href: "…" }, "text", child)` */
export function make(kind, said = {}, ...inside) {
  const [tag, ...classes] = kind.split(".");
  const made = document.createElement(tag);
  made.classList.add(...classes);
  for (const [name, value] of Object.entries(said)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && name !== "list" && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...inside.filter((one) => one !== null && one !== undefined && one !== ""));
  return made;
}

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const drawn = document.createElementNS(space, "svg");
  drawn.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `icons.svg#${name}`);
  drawn.append(use);
  return drawn;
}

export const number = (value) => value.toLocaleString("en");
export const several = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/** Calls `work` when nothing has been asked for so many milliseconds. */
export function settled(work, ms) {
  let timer;
  return (...said) => { clearTimeout(timer); timer = setTimeout(() => work(...said), ms); };
}
