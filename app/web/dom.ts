/** Small helpers for the page's elements. All text goes in as text: nothing that a person typed becomes markup. */

/** @throws when the page has no such element, or one of another kind: a mistake in index.html. */
export function element<T extends Element>(selector: string, kind: new () => T, root: ParentNode = document): T {
  const found = root.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`no ${kind.name} at ${selector}`);
  return found;
}

export function make(tag: string, className: string, ...children: (string | Node)[]): HTMLElement {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  made.append(...children);
  return made;
}

/** Shows a message, or hides its place when there is none. */
export function say(place: HTMLElement, message: string): void {
  if (place.textContent !== message) place.textContent = message;
  place.hidden = message === "";
}
