import assert from "node:assert/strict";
import { test } from "node:test";
import { isTransient, neverRan } from "../src/database-errors.js";

function failure(message: string, more: Record<string, string> = {}): Error {
  return Object.assign(new Error(message), more);
}

/** Errors of PostgreSQL, pgbouncer, pg and the system: transient or not, and is it certain that nothing ran. */
const CASES: readonly (readonly [error: unknown, transient: boolean, neverRan: boolean])[] = [
  [failure("cannot execute INSERT in a read-only transaction", { code: "25006" }), true, true],
  [failure("the database system is starting up", { code: "57P03" }), true, true],
  [failure("sorry, too many clients already", { code: "53300" }), true, true],
  [failure("connect ECONNREFUSED 127.0.0.1:6432", { code: "ECONNREFUSED", syscall: "connect" }), true, true],
  [failure("connect ENOENT /run/pgbouncer/.s.PGSQL.6432", { code: "ENOENT", syscall: "connect" }), true, true],
  [failure("connect EAGAIN /run/pgbouncer/.s.PGSQL.6432", { code: "EAGAIN", syscall: "connect" }), true, true],
  [failure("of all addresses of a name", { code: "ECONNREFUSED" }), true, true],
  [failure("getaddrinfo EAI_AGAIN", { code: "EAI_AGAIN", syscall: "getaddrinfo" }), true, true],
  [failure("connect ETIMEDOUT", { code: "ETIMEDOUT", syscall: "connect" }), true, true],
  [failure("read ETIMEDOUT", { code: "ETIMEDOUT", syscall: "read" }), true, false],
  [failure("timeout exceeded when trying to connect"), true, true],
  [failure("Connection terminated due to connection timeout"), true, true],
  [failure("terminating connection due to administrator command", { code: "57P01" }), true, false],
  [failure("query_wait_timeout", { code: "08P01" }), true, false],
  [failure("Connection terminated unexpectedly"), true, false],
  [failure("Query read timeout"), true, false],
  [failure("read ECONNRESET", { code: "ECONNRESET" }), true, false],
  [failure("deadlock detected", { code: "40P01" }), true, false],
  [failure("duplicate key value", { code: "23505" }), false, false],
  [failure("invalid input syntax", { code: "22P02" }), false, false],
  [failure("relation does not exist", { code: "42P01" }), false, false],
  [new TypeError("undefined is not a function"), false, false],
  ["a string", false, false],
];

for (const [error, transient, never] of CASES) {
  test(`${String(error)}: transient ${String(transient)}, never ran ${String(never)}`, () => {
    assert.equal(isTransient(error), transient);
    assert.equal(neverRan(error), never);
  });
}
