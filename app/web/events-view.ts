/** The list of events. */
import type { EventItem, EventPage, When } from "./api.js";
import { element, make } from "./dom.js";

const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const MONTH = new Intl.DateTimeFormat(undefined, { month: "short", year: "numeric" });
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** What the server gives at most in one answer. */
export const MAX_SHOWN = 500;

const EMPTY: Readonly<Record<When, string>> = {
  upcoming: "No upcoming events.",
  past: "No past events.",
};

export class EventsView {
  readonly #list = element("#list", HTMLOListElement);
  readonly #total = element("#total", HTMLElement);
  readonly #empty = element("#empty", HTMLElement);
  readonly #more = element("#more", HTMLButtonElement);
  readonly #onDelete: (event: EventItem, button: HTMLButtonElement) => void;
  #shown = "";

  constructor(onDelete: (event: EventItem, button: HTMLButtonElement) => void) {
    this.#onDelete = onDelete;
  }

  show(page: EventPage, when: When, mayDelete: boolean): void {
    // The list is fetched every few seconds: rebuilt only on a change, or focus and selection would be lost each time.
    const fingerprint = JSON.stringify([page, when, mayDelete]);
    this.#list.setAttribute("aria-busy", "false");
    if (fingerprint === this.#shown) return;
    this.#shown = fingerprint;
    this.#list.replaceChildren(...page.events.map((event) => this.#item(event, mayDelete)));
    this.#total.textContent = page.total === 0 ? "" : String(page.total);
    this.#empty.textContent = EMPTY[when];
    this.#empty.hidden = page.total > 0;
    this.#more.hidden = page.events.length >= Math.min(page.total, MAX_SHOWN);
  }

  #item(event: EventItem, mayDelete: boolean): HTMLElement {
    const starts = new Date(event.startsAt);
    const day = make("time", "date", make("span", "", WEEKDAY.format(starts)), make("b", "", String(starts.getDate())),
      make("span", "", MONTH.format(starts)));
    day.setAttribute("datetime", event.startsAt);
    const facts = [TIME.format(starts), event.place, `added by ${event.createdBy}`].filter((fact) => fact !== "");
    const text = make("div", "", make("h3", "", event.title), make("p", "facts", facts.join(" · ")));
    if (event.description !== "") text.append(make("p", "description", event.description));
    const item = make("li", "event", day, text);
    if (mayDelete) item.append(this.#deleteButton(event));
    return item;
  }

  #deleteButton(event: EventItem): HTMLButtonElement {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet danger";
    button.textContent = "Delete";
    button.setAttribute("aria-label", `Delete ${event.title}`);
    button.addEventListener("click", () => { this.#onDelete(event, button); });
    return button;
  }
}
