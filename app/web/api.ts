/** The server's API as the page uses it. */

export interface EventItem {
  readonly id: number;
  readonly title: string;
  readonly startsAt: string;
  readonly place: string;
  readonly description: string;
  readonly createdBy: string;
}

export interface NewEvent {
  readonly title: string;
  readonly startsAt: string;
  readonly place: string;
  readonly description: string;
}

export interface EventPage {
  readonly events: readonly EventItem[];
  readonly total: number;
}

export interface Health {
  readonly status: "healthy" | "degraded" | "unhealthy";
  readonly version: string;
  readonly database: boolean;
  readonly writable: boolean;
  readonly redis: boolean | null;
}

export type When = "upcoming" | "past";

export class ApiError extends Error {
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;

  constructor(status: number, message: string, fields: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.fields = fields;
  }
}

interface Problem {
  readonly message?: string;
  readonly fields?: Readonly<Record<string, string>>;
}

const TIMEOUT_MS = 15_000;

export class Api {
  readonly #answeredBy: (server: string) => void;

  constructor(answeredBy: (server: string) => void) {
    this.#answeredBy = answeredBy;
  }

  async health(): Promise<Health> {
    const response = await this.#send("GET", "/api/health");
    // The load balancer's own 503 is no JSON.
    if (response.headers.get("X-Served-By") === null) throw new ApiError(response.status, "No server answers.");
    return await response.json() as Health;
  }

  async user(): Promise<string | null> {
    const { user } = await this.#json<{ user: string | null }>("GET", "/api/session");
    return user;
  }

  async signIn(username: string, password: string): Promise<string> {
    const { user } = await this.#json<{ user: string }>("POST", "/api/login", { username, password });
    return user;
  }

  async signOut(): Promise<void> {
    await this.#checked("POST", "/api/logout");
  }

  list(when: When, limit: number): Promise<EventPage> {
    return this.#json("GET", `/api/events?when=${when}&limit=${String(limit)}`);
  }

  /** @param key the same for each try of one event, so that a lost answer does not create it twice. */
  create(event: NewEvent, key: string): Promise<EventItem> {
    return this.#json("POST", "/api/events", event, { "Idempotency-Key": key });
  }

  async delete(id: number): Promise<void> {
    try {
      await this.#checked("DELETE", `/api/events/${String(id)}`);
    } catch (error) {
      // Gone already is what was asked for.
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
  }

  async #json<T>(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
    return await (await this.#checked(method, path, body, headers)).json() as T;
  }

  async #checked(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response> {
    const response = await this.#send(method, path, body, headers);
    if (response.ok) return response;
    const problem = await (response.json() as Promise<Problem>).catch((): Problem => ({}));
    throw new ApiError(response.status, problem.message ?? "The service is not available right now.", problem.fields);
  }

  async #send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(path, {
        method,
        headers: body === undefined ? headers : { ...headers, "Content-Type": "application/json" },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch {
      throw new ApiError(0, "The service cannot be reached.");
    }
    const server = response.headers.get("X-Served-By");
    if (server !== null) this.#answeredBy(server);
    return response;
  }
}

/** crypto.randomUUID exists on secure origins only, and the page may be served by plain HTTP. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
