// Building elements. Text is always set as text: nothing that the server sends is ever parsed as HTML.

export const $ = (id) => document.getElementById(id);

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const h = (tag, attributes = {}, ...children) =>
  build(document.createElement(tag), attributes, children);

export const s = (tag, attributes = {}, ...children) =>
  build(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

// Sets text only where it is another one: a live region speaks when it is set.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, shown) {
  element.hidden = !shown;
}

// Replaces what is in `element`, and gives the focus back to the element that has the same id then.
export function replaceKeepingFocus(element, children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  element.replaceChildren(...children);
  if (focused !== "") $(focused)?.focus();
}

// Calls `render` where what it depends on has changed since the last time.
export function whenChanged(render) {
  let last;
  return (...inputs) => {
    const now = JSON.stringify(inputs);
    if (now === last) return;
    last = now;
    render(...inputs);
  };
}
