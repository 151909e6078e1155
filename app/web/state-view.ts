/** Which server answered, and its state. */
import type { Health } from "./api.js";
import { element } from "./dom.js";

type Level = "good" | "warn" | "bad";

function show(id: string, text: string, level?: Level): void {
  const place = element(`#${id}`, HTMLElement);
  if (place.textContent !== text) place.textContent = text;
  place.className = level ?? "";
}

export function showServer(server: string): void {
  show("server", server);
}

export function showHealth(health: Health): void {
  const levels: Readonly<Record<Health["status"], Level>> = { healthy: "good", degraded: "warn", unhealthy: "bad" };
  show("state-status", health.status, levels[health.status]);
  if (!health.database) show("state-database", "unavailable", "bad");
  else if (health.writable) show("state-database", "ready", "good");
  else show("state-database", "read-only", "warn");
  if (health.redis === null) show("state-redis", "in memory", "warn");
  else if (health.redis) show("state-redis", "ready", "good");
  else show("state-redis", "unavailable", "bad");
  show("state-version", health.version);
}

export function showNoAnswer(): void {
  show("server", "none", "bad");
  show("state-status", "no answer", "bad");
  for (const id of ["state-database", "state-redis", "state-version"]) show(id, "unknown");
}
