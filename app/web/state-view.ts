/** Which server answered, and how it is. */
import type { Health } from "./api.js";
import { element } from "./dom.js";

type Mood = "good" | "warn" | "bad";

function put(id: string, text: string, mood?: Mood): void {
  const place = element(`#${id}`, HTMLElement);
  if (place.textContent !== text) place.textContent = text;
  place.className = mood ?? "";
}

export function showServer(server: string): void {
  put("server", server);
}

export function showHealth(health: Health): void {
  const moods: Readonly<Record<Health["status"], Mood>> = { healthy: "good", degraded: "warn", unhealthy: "bad" };
  put("state-status", health.status, moods[health.status]);
  if (!health.database) put("state-database", "away", "bad");
  else if (health.writable) put("state-database", "ready", "good");
  else put("state-database", "read-only", "warn");
  if (health.redis === null) put("state-redis", "in memory", "warn");
  else if (health.redis) put("state-redis", "ready", "good");
  else put("state-redis", "away", "bad");
  put("state-version", health.version);
}

export function showNoAnswer(): void {
  put("server", "nobody", "bad");
  put("state-status", "no answer", "bad");
  for (const id of ["state-database", "state-redis", "state-version"]) put(id, "unknown");
}
