/** The phase of this process between its start and its end. */

export type Phase = "starting" | "serving" | "draining";

export class Lifecycle {
  #phase: Phase = "starting";
  #waitingFor = "starting";

  get phase(): Phase {
    return this.#phase;
  }

  get draining(): boolean {
    return this.#phase === "draining";
  }

  /** Why it does not serve yet, for the health check's `reason`. */
  get waitingFor(): string {
    return this.#waitingFor;
  }

  waitFor(what: string): void {
    this.#waitingFor = what;
  }

  serve(): void {
    if (this.#phase === "starting") this.#phase = "serving";
  }

  /** There is no way back from draining. */
  drain(): void {
    this.#phase = "draining";
  }
}
