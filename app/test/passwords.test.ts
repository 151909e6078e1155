import assert from "node:assert/strict";
import { test } from "node:test";
import { hashPassword, verifyPassword } from "../src/passwords.js";

test("only the same password matches a hash, and nothing matches other text", async () => {
  const stored = await hashPassword("grüße");
  assert.equal(await verifyPassword("grüße", stored), true);
  assert.equal(await verifyPassword("gruesse", stored), false);
  assert.equal(await verifyPassword("grüße".normalize("NFD"), stored), true, "typed on another keyboard");
  assert.equal(await verifyPassword("", "plain text"), false);
  assert.notEqual(stored, await hashPassword("grüße"), "each hash has a salt of its own");
});
