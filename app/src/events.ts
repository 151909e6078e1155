/** Events as they are stored and as the API shows them. */
import { z } from "zod";
import type { Database } from "./database.js";
import { HttpError } from "./errors.js";
import { plainText } from "./validation.js";
import type { Visit } from "./visit.js";

export const newEvent = z.strictObject({
  title: plainText(200).min(1, "Give the event a title."),
  startsAt: z.iso.datetime({ offset: true, error: "Give a date and time with a time zone, such as 2030-05-17T19:30:00Z." })
    .refine((text) => new Date(text).getUTCFullYear() >= 1970, "Must not be before 1970."),
  place: plainText(200).default(""),
  description: plainText(5000).default(""),
});
export type NewEvent = z.infer<typeof newEvent>;

export const listQuery = z.strictObject({
  when: z.enum(["upcoming", "past", "all"], "Must be upcoming, past or all.").default("all"),
  limit: z.coerce.number("Must be a number.").int().min(1, "From 1 to 500.").max(500, "From 1 to 500.").default(100),
  offset: z.coerce.number("Must be a number.").int().min(0, "From 0.").max(1_000_000, "At most 1000000.").default(0),
});
export type ListQuery = z.infer<typeof listQuery>;

export interface Event {
  readonly id: number;
  readonly title: string;
  /** ISO 8601 in UTC, as is createdAt. */
  readonly startsAt: string;
  readonly place: string;
  readonly description: string;
  readonly createdBy: string;
  readonly createdAt: string;
}

interface Row {
  id: string;
  title: string;
  starts_at: Date;
  place: string;
  description: string;
  created_by: string;
  created_at: Date;
}

const COLUMNS = "id, title, starts_at, place, description, created_by, created_at";

/** An event counts as upcoming until it is this old, so that one that has just begun can still be found. */
const WHEN: Readonly<Record<ListQuery["when"], { where: string; order: string }>> = {
  upcoming: { where: "starts_at >= now() - interval '3 hours'", order: "starts_at, id" },
  past: { where: "starts_at < now() - interval '3 hours'", order: "starts_at DESC, id DESC" },
  all: { where: "true", order: "starts_at, id" },
};

export class Events {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async list({ when, limit, offset }: ListQuery, visit?: Visit): Promise<{ events: Event[]; total: number }> {
    const { where, order } = WHEN[when];
    const [page, count] = await Promise.all([
      this.#database.query<Row>(
        `SELECT ${COLUMNS} FROM events WHERE ${where} ORDER BY ${order} LIMIT $1 OFFSET $2`, [limit, offset], "read", visit),
      this.#database.query<{ total: string }>(`SELECT count(*) AS total FROM events WHERE ${where}`, [], "read",
        visit),
    ]);
    return { events: page.rows.map(toEvent), total: Number(count.rows[0]?.total ?? 0) };
  }

  async get(id: number, visit?: Visit): Promise<Event | undefined> {
    const { rows } = await this.#database.query<Row>(`SELECT ${COLUMNS} FROM events WHERE id = $1`, [id], "read", visit);
    return rows[0] && toEvent(rows[0]);
  }

  /**
   * Creates the event, once for a request key however often it is asked: that is what makes it safe to try again when an
   * answer was lost in a failover. A repetition writes the row again, so that it too waits until the standby has it.
   * @throws HttpError 409 when the key was used for another event.
   */
  async create(event: NewEvent, user: string, requestKey: string, visit?: Visit): Promise<Event> {
    const { rows: [stored] } = await this.#database.query<Row>(
      `INSERT INTO events (title, starts_at, place, description, created_by, request_key)
       VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT (request_key) DO UPDATE SET request_key = excluded.request_key RETURNING ${COLUMNS}`,
      [event.title, event.startsAt, event.place, event.description, user, requestKey],
      "idempotent write",
      visit,
    );
    if (!stored || !isSame(stored, event, user)) {
      throw new HttpError(409, "key_used", "This Idempotency-Key was used for another event.");
    }
    return toEvent(stored);
  }

  /** @returns false when there was no such event. */
  async delete(id: number, visit?: Visit): Promise<boolean> {
    const { rowCount } = await this.#database.query("DELETE FROM events WHERE id = $1", [id], "write", visit);
    return (rowCount ?? 0) > 0;
  }
}

function isSame(row: Row, event: NewEvent, user: string): boolean {
  return row.title === event.title && row.place === event.place && row.description === event.description
    && row.starts_at.getTime() === new Date(event.startsAt).getTime() && row.created_by === user;
}

function toEvent(row: Row): Event {
  return {
    id: Number(row.id),
    title: row.title,
    startsAt: row.starts_at.toISOString(),
    place: row.place,
    description: row.description,
    createdBy: row.created_by,
    createdAt: row.created_at.toISOString(),
  };
}
