import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorReply } from "redis";
import { isOutage, reconnectPauseMs, RedisUnavailable } from "../src/redis-link.js";

test("Redis is reconnected within 100 ms for as long as requests wait for it, then at least once a second", () => {
  for (const random of [0, 0.5, 0.999]) {
    const soon = reconnectPauseMs("away", () => random);
    assert.ok(soon >= 75 && soon <= 100, String(soon));
    const later = reconnectPauseMs("failed", () => random);
    assert.ok(later >= 750 && later <= 1000, String(later));
  }
});

const ERRORS: readonly (readonly [error: unknown, outage: boolean])[] = [
  [new ErrorReply("READONLY You can't write against a read only replica."), true],
  [new ErrorReply("LOADING Redis is loading the dataset in memory"), true],
  [new ErrorReply("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."), true],
  [new ErrorReply("MISCONF Redis is unable to persist to disk"), false],
  [new ErrorReply("OOM command not allowed when used memory > 'maxmemory'."), false],
  [new ErrorReply("WRONGTYPE Operation against a key holding the wrong kind of value"), false],
  [new RedisUnavailable("no answer within 1000 ms"), true],
  [new Error("Socket closed unexpectedly"), true],
  [new TypeError("cannot read properties of undefined"), false],
];

for (const [error, outage] of ERRORS) {
  test(`"${String(error)}" is ${outage ? "an outage" : "an error"}`, () => { assert.equal(isOutage(error), outage); });
}
