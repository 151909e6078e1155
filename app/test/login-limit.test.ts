import assert from "node:assert/strict";
import { test } from "node:test";
import { LoginLimit } from "../src/login-limit.js";

test("wrong passwords are limited for each name and address, until the window ends", () => {
  let now = 0;
  const limit = new LoginLimit(() => now);
  for (let tries = 0; tries < 10; tries += 1) {
    assert.equal(limit.waitSeconds("a", "admin"), 0);
    limit.failed("a", "admin");
  }
  assert.equal(limit.waitSeconds("a", "admin"), 60);
  assert.equal(limit.waitSeconds("b", "admin"), 0);
  now = 60_001;
  assert.equal(limit.waitSeconds("a", "admin"), 0);
  limit.failed("a", "admin");
  for (let tries = 1; tries < 10; tries += 1) {
    assert.equal(limit.waitSeconds("a", "admin"), 0, "a new window counts from one");
    limit.failed("a", "admin");
  }
  assert.equal(limit.waitSeconds("a", "admin"), 60);
});

test("the right password resets the count", () => {
  const limit = new LoginLimit(() => 0);
  for (let tries = 0; tries < 9; tries += 1) limit.failed("a", "admin");
  limit.succeeded("a", "admin");
  limit.failed("a", "admin");
  assert.equal(limit.waitSeconds("a", "admin"), 0);
});
