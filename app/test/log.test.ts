import assert from "node:assert/strict";
import { test } from "node:test";
import { describe, Log, Throttle } from "../src/log.js";

test("a log line is one JSON object, errors and line breaks included", () => {
  const lines: string[] = [];
  const log = new Log("info", { server: "app1" }, (line) => lines.push(line));
  log.debug("not written");
  log.warn("two\nlines", { error: Object.assign(new Error("boom"), { code: "25006" }) });
  assert.equal(lines.length, 1);
  const line = lines.join("");
  assert.equal(line.indexOf("\n"), line.length - 1, "the only line break is at the end");
  const entry = JSON.parse(line) as Record<string, unknown>;
  const { level, server, message, error } = entry;
  assert.deepEqual({ level, server, message, error },
    { level: "warn", server: "app1", message: "two\nlines", error: "boom (25006)" });
  assert.equal(describe(new AggregateError([new Error("first"), new Error("second")], "")), "first; second");
});

test("repeated failures are logged once a period, and again after a success", (t) => {
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const hidden: number[] = [];
  const throttle = new Throttle(60_000);
  const note = (count: number): void => { hidden.push(count); };
  for (let failures = 0; failures < 5; failures += 1) throttle.run(note);
  assert.deepEqual(hidden, [0]);
  now = 60_000;
  throttle.run(note);
  assert.deepEqual(hidden, [0, 4], "with the number of failures that were not logged");
  throttle.reset();
  throttle.run(note);
  assert.deepEqual(hidden, [0, 4, 0]);
});
