/** Waits for a condition instead of a fixed time. */
import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 25;
const DEFAULT_LIMIT_MS = 20_000;

/** @throws when the condition does not hold within `limitMs`; the message names it. */
export async function until(
  condition: string,
  holds: () => boolean | Promise<boolean>,
  limitMs = DEFAULT_LIMIT_MS,
): Promise<void> {
  const end = performance.now() + limitMs;
  while (!await holds()) {
    if (performance.now() > end) throw new Error(`${condition}: not within ${String(limitMs)} ms`);
    await sleep(POLL_MS);
  }
}
