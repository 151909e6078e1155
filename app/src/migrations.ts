/**
 * Brings the schema up to date: the files of migrations/, in order of name, each once.
 *
 * All of it is one transaction that holds a transaction-level advisory lock: two servers that start at once take turns,
 * a failure leaves nothing half done, and pgbouncer in transaction mode keeps it on one connection. When there is
 * nothing to do nothing is written, so a server also starts while the database is read-only.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ClientBase, QueryConfig } from "pg";
import type { Database } from "./database.js";

/** Any number does, as long as nothing else in this database locks the same one. */
const LOCK_KEY = 5_482_091_733;
/** Waiting for the other server's migrations, or building an index, takes longer than a request may. */
const MIGRATION_TIMEOUT_MS = 60_000;

export interface Migration {
  readonly name: string;
  readonly sql: string;
  readonly sha256: string;
}

/** A migration that was applied in another form: only a person can tell which one is right. */
export class MigrationConflict extends Error {
  constructor(name: string) {
    super(`migration ${name} was changed after it had been applied; undo the change and add a new file instead`);
    this.name = "MigrationConflict";
  }
}

export async function readMigrations(folder: string): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".sql")).sort();
  return Promise.all(names.map(async (name) => {
    const sql = await readFile(join(folder, name), "utf8");
    return { name, sql, sha256: createHash("sha256").update(sql).digest("hex") };
  }));
}

/**
 * @returns the names of the migrations that this call applied. Ones that the database has and this release lacks are
 *   left alone: a release may be rolled back.
 * @throws MigrationConflict when an applied migration is not the one in the folder.
 */
export async function migrate(database: Database, migrations: readonly Migration[]): Promise<string[]> {
  return database.transaction(async (client) => {
    if (pending(migrations, await applied(client)).length === 0) return [];
    await client.query(patient(`SELECT pg_advisory_xact_lock(${String(LOCK_KEY)})`));
    await client.query(`CREATE TABLE IF NOT EXISTS schema_migrations (
      name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`);
    // Looked up again, as the other server may have been at work while this one waited for the lock.
    const todo = pending(migrations, await applied(client));
    for (const migration of todo) {
      await client.query(patient(migration.sql));
      await client.query("INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)", [migration.name, migration.sha256]);
    }
    return todo.map((migration) => migration.name);
  });
}

/** pg takes a time limit for one query, which its type declarations leave out. */
function patient(text: string): QueryConfig & { query_timeout: number } {
  return { text, query_timeout: MIGRATION_TIMEOUT_MS };
}

async function applied(client: ClientBase): Promise<Map<string, string>> {
  const table = await client.query<{ found: boolean }>("SELECT to_regclass('schema_migrations') IS NOT NULL AS found");
  if (table.rows[0]?.found !== true) return new Map();
  const { rows } = await client.query<{ name: string; sha256: string }>("SELECT name, sha256 FROM schema_migrations");
  return new Map(rows.map((row) => [row.name, row.sha256]));
}

function pending(migrations: readonly Migration[], done: ReadonlyMap<string, string>): Migration[] {
  return migrations.filter((migration) => {
    const sha256 = done.get(migration.name);
    if (sha256 !== undefined && sha256 !== migration.sha256) throw new MigrationConflict(migration.name);
    return sha256 === undefined;
  });
}
