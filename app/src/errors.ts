/** The errors that a request may end with. */

/** An error that is sent to the caller. `code` is for programs, `message` for people. */
export class HttpError extends Error {
  readonly status: number;
  readonly code: string;
  readonly fields: Readonly<Record<string, string>> | undefined;

  constructor(status: number, code: string, message: string, fields?: Readonly<Record<string, string>>) {
    super(message);
    this.name = "HttpError";
    this.status = status;
    this.code = code;
    this.fields = fields;
  }
}

export type Dependency = "database" | "sessions";

const UNAVAILABLE: Readonly<Record<Dependency, string>> = {
  database: "The database cannot be reached or written right now. Try again in a few seconds.",
  sessions: "Signing in and staying signed in does not work right now. Try again in a few seconds.",
};

/** A dependency is not available: 503, and the caller should retry. `cause` goes to the log only. */
export class Unavailable extends HttpError {
  readonly dependency: Dependency;

  constructor(dependency: Dependency, cause: unknown) {
    super(503, `${dependency}_unavailable`, UNAVAILABLE[dependency]);
    this.name = "Unavailable";
    this.dependency = dependency;
    this.cause = cause;
  }
}

/** body-parser and Express mark errors of the caller with `status` and `expose`. */
export function isCallerError(error: unknown): error is Error & { status: number } {
  return error instanceof Error && "status" in error && typeof error.status === "number"
    && error.status >= 400 && error.status < 500 && "expose" in error && error.expose === true;
}
