import assert from "node:assert/strict";
import { test } from "node:test";
import { reconnectPauseMs } from "../src/redis-link.js";

test("Redis is reconnected soon at first, then at least once a second", () => {
  assert.ok(reconnectPauseMs(0) <= 50);
  for (const retries of [5, 10, 1000, 1e9]) {
    const pause = reconnectPauseMs(retries);
    assert.ok(pause >= 750 && pause <= 1000, String(pause));
  }
});
