/** Sign-in and new-event forms: their values in, messages out. */
import { ApiError, type NewEvent } from "./api.js";
import { element, say } from "./dom.js";

export function field(form: HTMLFormElement, name: string): HTMLInputElement | HTMLTextAreaElement {
  const found = form.elements.namedItem(name);
  if (found instanceof HTMLInputElement || found instanceof HTMLTextAreaElement) return found;
  throw new Error(`no field ${name}`);
}

/** A date that the browser cannot read goes to the server as typed; its error is shown beside the field. */
export function eventOf(form: HTMLFormElement): NewEvent {
  const local = field(form, "startsAt").value;
  const starts = new Date(local);
  return {
    title: field(form, "title").value,
    // Typed in the visitor's own time zone, sent in UTC.
    startsAt: Number.isNaN(starts.getTime()) ? local : starts.toISOString(),
    place: field(form, "place").value,
    description: field(form, "description").value,
  };
}

/** Runs the form's action with its button disabled meanwhile, and shows errors beside their fields. */
export async function submit(form: HTMLFormElement, work: () => Promise<void>): Promise<void> {
  const button = element("button[type=submit]", HTMLButtonElement, form);
  clearProblems(form);
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    showProblems(form, error);
  } finally {
    button.disabled = false;
  }
}

function clearProblems(form: HTMLFormElement): void {
  for (const place of form.querySelectorAll<HTMLElement>(".problem, .field-problem")) say(place, "");
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

function showProblems(form: HTMLFormElement, error: unknown): void {
  const fields = error instanceof ApiError ? Object.entries(error.fields) : [];
  const message = error instanceof ApiError ? error.message : "Something went wrong in the page.";
  say(element(".problem", HTMLElement, form), message);
  for (const [name, problem] of fields) {
    const input = form.elements.namedItem(name);
    if (!(input instanceof HTMLElement)) continue;
    input.setAttribute("aria-invalid", "true");
    const place = form.querySelector<HTMLElement>(`.field-problem[data-for="${name}"]`);
    // The server's message about an empty date is meant for programs.
    const empty = input instanceof HTMLInputElement && input.type === "datetime-local" && input.value === "";
    if (place) say(place, empty ? "Choose a date and time." : problem);
  }
  form.querySelector<HTMLElement>("[aria-invalid]")?.focus();
}
