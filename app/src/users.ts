/** Who may sign in. One user comes from the environment; the table is ready for more. */
import type { Database } from "./database.js";
import { hashPassword, verifyPassword } from "./passwords.js";

/** Creates the user, or sets the password of the environment. Writes only when something differs. */
export async function seedUser(database: Database, name: string, password: string): Promise<"unchanged" | "stored"> {
  const stored = await passwordHash(database, name);
  if (stored !== undefined && await verifyPassword(password, stored)) return "unchanged";
  await database.query(
    `INSERT INTO users (name, password_hash) VALUES ($1, $2)
     ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash, updated_at = now()`,
    [name, await hashPassword(password)],
    "idempotent write",
  );
  return "stored";
}

/** Takes as long for a name that does not exist as for a wrong password. */
export async function checkCredentials(database: Database, name: string, password: string): Promise<boolean> {
  const stored = await passwordHash(database, name);
  if (stored !== undefined) return verifyPassword(password, stored);
  await hashPassword(password);
  return false;
}

async function passwordHash(database: Database, name: string): Promise<string | undefined> {
  const { rows } = await database.query<{ password_hash: string }>(
    "SELECT password_hash FROM users WHERE name = $1", [name], "read");
  return rows[0]?.password_hash;
}
