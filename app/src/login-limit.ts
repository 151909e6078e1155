/** Slows down guessing: after so many wrong passwords for a name from one address, that pair has to wait. */

const MAX_FAILURES = 10;
const WINDOW_MS = 60_000;
/** Bounds the memory that someone trying many names can take. */
const MAX_ENTRIES = 10_000;

interface Entry {
  failures: number;
  readonly until: number;
}

/** Counts in this process: with n servers a guesser gets n times as many tries, which is still few. */
export class LoginLimit {
  readonly #entries = new Map<string, Entry>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** @returns seconds to wait before the next try, 0 when it may be made now. */
  waitSeconds(address: string, name: string): number {
    const entry = this.#entries.get(key(address, name));
    if (!entry || entry.failures < MAX_FAILURES) return 0;
    return Math.max(0, Math.ceil((entry.until - this.#now()) / 1000));
  }

  failed(address: string, name: string): void {
    const now = this.#now();
    const id = key(address, name);
    const entry = this.#entries.get(id);
    if (entry && entry.until > now) {
      entry.failures += 1;
      return;
    }
    // A Map keeps the order of insertion, so the first key is the oldest.
    this.#entries.delete(id);
    const oldest = this.#entries.keys().next();
    if (this.#entries.size >= MAX_ENTRIES && !oldest.done) this.#entries.delete(oldest.value);
    this.#entries.set(id, { failures: 1, until: now + WINDOW_MS });
  }

  succeeded(address: string, name: string): void {
    this.#entries.delete(key(address, name));
  }
}

function key(address: string, name: string): string {
  return `${address} ${name}`;
}
