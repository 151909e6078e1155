/**
 * Which failures of the database are transient, and after which of those a statement may safely run again.
 */

/** SQLSTATE classes of errors in the statement itself: a retry fails again. */
const STATEMENT_AT_FAULT = new Set(["0A", "21", "22", "23", "2B", "42", "44", "P0"]);

/**
 * The server refused before it did anything: a standby or a demoted primary (25006), starting or stopping (57P03), too many
 * connections (53300), connection rejected by the server (08001, 08004).
 */
const NEVER_RAN_SQLSTATE = new Set(["25006", "57P03", "53300", "08001", "08004"]);
/** The error for a host name with several addresses has the code of one of them, and no `syscall`. */
const NEVER_RAN_SYSTEM = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ENOTFOUND", "EAI_AGAIN"]);

/** The pool's messages when no connection is available in time (pg gives these errors no code). */
const NO_CONNECTION_IN_TIME = /timeout exceeded when trying to connect|Connection terminated due to connection timeout/;

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function isSqlState(code: string): boolean {
  return /^[0-9A-Z]{5}$/.test(code);
}

/** A failure of the connection, the route or the server's role, rather than of the statement or of this program. */
export function isTransient(error: unknown): boolean {
  if (error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError) return false;
  const code = codeOf(error);
  if (code === undefined) return error instanceof Error;
  return !(isSqlState(code) && STATEMENT_AT_FAULT.has(code.slice(0, 2)));
}

/** A transient failure after which it is certain that the statement did not take effect. */
export function neverRan(error: unknown): boolean {
  const code = codeOf(error);
  if (code !== undefined) {
    if (NEVER_RAN_SQLSTATE.has(code) || NEVER_RAN_SYSTEM.has(code)) return true;
    return error instanceof Error && "syscall" in error && error.syscall === "connect";
  }
  return error instanceof Error && NO_CONNECTION_IN_TIME.test(error.message);
}
