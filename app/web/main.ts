/** The page: who is signed in, which events there are, and the state of the service, refreshed. */
import { Api, ApiError, type EventItem, newKey, type When } from "./api.js";
import { element, say } from "./dom.js";
import { EventsView, MAX_SHOWN } from "./events-view.js";
import { eventOf, field, submit } from "./forms.js";
import { showHealth, showNoAnswer, showServer } from "./state-view.js";

const REFRESH_MS = 5000;
const PAGE_SIZE = 50;

const api = new Api(showServer);
const signIn = element("#sign-in", HTMLFormElement);
const create = element("#create", HTMLFormElement);
const signOut = element("#sign-out", HTMLButtonElement);
const who = element("#who", HTMLElement);
const notice = element("#notice", HTMLElement);
const tabs = [...document.querySelectorAll<HTMLButtonElement>(".tabs button")];
const view = new EventsView((event, button) => { void remove(event, button); });

let user: string | null = null;
let when: When = "upcoming";
let limit = PAGE_SIZE;
/** One key for the event in the form until it is stored, however often the button is pressed. */
let key = newKey();

function messageOf(error: unknown): string {
  return error instanceof ApiError ? error.message : String(error);
}

function showUser(name: string | null): void {
  user = name;
  say(who, name === null ? "" : `Signed in as ${name}`);
  signOut.hidden = name === null;
  signIn.hidden = name !== null;
  create.hidden = name === null;
}

/** @returns the message for the visitor, "" for none; as does loadEvents. */
async function loadUser(): Promise<string> {
  try {
    showUser(await api.user());
    return "";
  } catch (error) {
    // The visitor may still be signed in: forms keep their text, unless this is the first load.
    if (signIn.hidden && create.hidden) showUser(null);
    return messageOf(error);
  }
}

async function loadEvents(): Promise<string> {
  const asked = when;
  try {
    const page = await api.list(asked, limit);
    // If another tab was chosen meanwhile, its own list is being loaded.
    if (asked === when) view.show(page, asked, user !== null);
    return "";
  } catch (error) {
    return messageOf(error);
  }
}

async function showEvents(): Promise<void> {
  say(notice, await loadEvents());
}

async function loadHealth(): Promise<void> {
  try {
    showHealth(await api.health());
  } catch {
    showNoAnswer();
  }
}

async function refresh(): Promise<void> {
  // The user first, as the list has buttons for signed-in users.
  const userProblem = await loadUser();
  const [eventsProblem] = await Promise.all([loadEvents(), loadHealth()]);
  say(notice, eventsProblem || userProblem);
}

/** Refreshes again some time after the last refresh has ended, unless the page is hidden. */
function keepFresh(): void {
  setTimeout(() => {
    const done = document.hidden ? Promise.resolve() : refresh();
    void done.finally(keepFresh);
  }, REFRESH_MS);
}

async function remove(event: EventItem, button: HTMLButtonElement): Promise<void> {
  if (!confirm(`Delete “${event.title}”?`)) return;
  button.disabled = true;
  try {
    await api.delete(event.id);
  } catch (error) {
    button.disabled = false;
    say(notice, messageOf(error));
    return;
  }
  await showEvents();
}

function choose(next: When): void {
  when = next;
  limit = PAGE_SIZE;
  for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.dataset.when === next));
  void showEvents();
}

signIn.addEventListener("submit", (event) => {
  event.preventDefault();
  void submit(signIn, async () => {
    const name = await api.signIn(field(signIn, "username").value, field(signIn, "password").value);
    signIn.reset();
    showUser(name);
    await showEvents();
    field(create, "title").focus();
  });
});

create.addEventListener("submit", (event) => {
  event.preventDefault();
  void submit(create, async () => {
    const created = await api.create(eventOf(create), key);
    key = newKey();
    create.reset();
    choose(Date.parse(created.startsAt) >= Date.now() ? "upcoming" : "past");
    field(create, "title").focus();
  });
});
// Another text is another event.
create.addEventListener("input", () => { key = newKey(); });

signOut.addEventListener("click", () => {
  void api.signOut().then(() => {
    showUser(null);
    return showEvents();
  }).catch((error: unknown) => { say(notice, messageOf(error)); });
});
element("#more", HTMLButtonElement).addEventListener("click", () => {
  limit = Math.min(limit + PAGE_SIZE, MAX_SHOWN);
  void showEvents();
});
for (const tab of tabs) {
  tab.addEventListener("click", () => { choose(tab.dataset.when === "past" ? "past" : "upcoming"); });
}
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) void refresh();
});

void refresh().finally(keepFresh);
