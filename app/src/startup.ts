/** From "listening" to "serving": creates the schema and the first user, and retries until the database is available. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Config } from "./config.js";
import type { Database } from "./database.js";
import type { Lifecycle } from "./lifecycle.js";
import { type Log, Throttle } from "./log.js";
import { migrate, MigrationConflict, readMigrations } from "./migrations.js";
import { seedUser } from "./users.js";

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2000;

export interface Startup {
  readonly database: Database;
  readonly lifecycle: Lifecycle;
  readonly log: Log;
  readonly admin: Config["admin"];
  readonly migrationsFolder: string;
}

/** @throws MigrationConflict, as a retry cannot fix it. Any other failure is retried without a limit. */
export async function prepare({ database, lifecycle, log, admin, migrationsFolder }: Startup): Promise<void> {
  const migrations = await readMigrations(migrationsFolder);
  const failures = new Throttle(10_000);
  for (let pause = FIRST_PAUSE_MS; lifecycle.phase === "starting"; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      lifecycle.waitFor("the database schema");
      const applied = await migrate(database, migrations);
      if (applied.length > 0) log.info("migrations applied", { migrations: applied });
      lifecycle.waitFor("the first user");
      if (await seedUser(database, admin.user, admin.password) === "stored") log.info("user stored", { user: admin.user });
      lifecycle.serve();
    } catch (error) {
      if (error instanceof MigrationConflict) throw error;
      const step = lifecycle.waitingFor;
      failures.run((hidden) => { log.warn("not ready yet, trying again", { step, error, hidden }); });
      await sleep(pause);
    }
  }
}
