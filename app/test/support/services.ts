/** Starts the installed PostgreSQL, pgbouncer and Redis for one test file; they end with it. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import pg from "pg";
import { createClient } from "redis";
import { until } from "./until.js";

const STOP_LIMIT_MS = 5000;

export interface Service {
  readonly port: number;
  readonly folder: string;
  readonly stop: () => Promise<void>;
}

function onPath(name: string, folders: readonly string[]): string | undefined {
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

function folders(): string[] {
  return [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/bin"];
}

/** Debian keeps PostgreSQL's programs in one folder a version; the newest version is used. */
function postgresFolder(): string | undefined {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const all = [...versions.map((version) => join(root, version, "bin")), ...folders()];
  return all.find((folder) => existsSync(join(folder, "initdb")) && existsSync(join(folder, "postgres")));
}

/** @returns why tests that need these programs are skipped, false when they can run: what node:test takes as `skip`. */
export function missing(...needed: ("postgres" | "redis" | "pgbouncer")[]): string | false {
  const found = { postgres: postgresFolder(), redis: redisProgram(), pgbouncer: bouncerProgram() };
  const packages = { postgres: "postgresql", redis: "redis-server", pgbouncer: "pgbouncer" };
  const absent = needed.filter((name) => found[name] === undefined).map((name) => packages[name]);
  return absent.length > 0 && `not installed: ${absent.join(", ")} (apt-get install ${absent.join(" ")})`;
}

function redisProgram(): string | undefined {
  return onPath("redis-server", folders());
}

function bouncerProgram(): string | undefined {
  return onPath("pgbouncer", folders());
}

function needed(program: string | undefined): string {
  if (program === undefined) throw new Error("a program is not installed: skip this test with missing()");
  return program;
}

/** PostgreSQL and pgbouncer refuse to run as root. */
function unprivileged(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  for (const user of ["postgres", "nobody"]) {
    const uid = spawnSync("id", ["-u", user], { encoding: "utf8" });
    const gid = spawnSync("id", ["-g", user], { encoding: "utf8" });
    if (uid.status === 0 && gid.status === 0) return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  }
  throw new Error("PostgreSQL and pgbouncer refuse to run as root: add a user named postgres or nobody");
}

function privateFolder(owner: { uid?: number; gid?: number }): string {
  const folder = mkdtempSync(join(tmpdir(), "event-manager-test-"));
  chmodSync(folder, 0o700);
  if (owner.uid !== undefined && owner.gid !== undefined) chownSync(folder, owner.uid, owner.gid);
  return folder;
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => { resolve(port); });
    });
  });
}

// A test file that exceeds its time limit gets SIGTERM. Without this its services would keep running.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

interface Launch {
  readonly program: string;
  readonly args: readonly string[];
  readonly port: number;
  readonly folder: string;
  readonly owner: { uid?: number; gid?: number };
  readonly answers: () => Promise<boolean>;
}

async function launch({ program, args, port, folder, owner, answers }: Launch): Promise<Service> {
  const child: ChildProcess = spawn(program, args, { ...owner, cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => output.push(chunk.toString()));
  }
  const kill = (): void => { child.kill("SIGQUIT"); };
  process.once("exit", kill);
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const stop = async (): Promise<void> => {
    process.off("exit", kill);
    child.kill("SIGINT");
    await until(`${program} ends`, ended, STOP_LIMIT_MS).catch(() => { child.kill("SIGKILL"); });
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await until(`${program} answers`, async () => {
      if (ended()) throw new Error(`${program} ended: ${output.join("")}`);
      return answers();
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, folder, stop };
}

export function databaseUrl(port: number): string {
  return `postgres://app:secret@127.0.0.1:${String(port)}/app`;
}

async function sqlAnswers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query("SELECT 1");
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** A server with a database `app` that the user `app` owns, as on the estate. */
export async function startPostgres(): Promise<Service> {
  const owner = unprivileged();
  const folder = privateFolder(owner);
  const bin = needed(postgresFolder());
  const data = join(folder, "data");
  execFileSync(join(bin, "initdb"), ["--pgdata", data, "--auth=trust", "--username=app", "--no-sync", "--encoding=UTF8",
    "--locale=C"], { ...owner, cwd: folder, stdio: "ignore" });
  const port = await freePort();
  const args = ["-D", data, "-p", String(port), "-k", folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"];
  const service = await launch({
    program: join(bin, "postgres"), args, port, folder, owner,
    answers: () => sqlAnswers(`postgres://app@127.0.0.1:${String(port)}/postgres`),
  });
  await sql(`postgres://app@127.0.0.1:${String(port)}/postgres`, "CREATE DATABASE app");
  return service;
}

export async function sql(url: string, text: string): Promise<pg.QueryResult<Record<string, unknown>>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query<Record<string, unknown>>(text);
  } finally {
    await client.end();
  }
}

/** Locks the table so that every reader waits. @returns the function that unlocks it */
export async function lockEvents(url: string): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE");
  return () => client.end();
}

/** The URL of pgbouncer's socket, as on the estate. */
export function bouncerUrl({ folder, port }: Pick<Service, "folder" | "port">): string {
  return `postgres://app:secret@${encodeURIComponent(folder)}:${String(port)}/app`;
}

/** pgbouncer in transaction mode, which rules out session state and named statements. */
export async function startPgbouncer(databasePort: number): Promise<Service> {
  const owner = unprivileged();
  const folder = privateFolder(owner);
  const port = await freePort();
  const settings = join(folder, "pgbouncer.ini");
  const users = join(folder, "users.txt");
  writeFileSync(users, '"app" "secret"\n', { mode: 0o644 });
  writeFileSync(settings, `[databases]
app = host=127.0.0.1 port=${String(databasePort)} dbname=app
[pgbouncer]
listen_port = ${String(port)}
unix_socket_dir = ${folder}
auth_type = plain
auth_file = ${users}
pool_mode = transaction
default_pool_size = 5
`, { mode: 0o644 });
  return launch({ program: needed(bouncerProgram()), args: [settings], port, folder, owner,
    answers: () => sqlAnswers(bouncerUrl({ folder, port })) });
}

export interface RedisTls {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly authority: string;
}

export async function startRedis(password: string, tls?: RedisTls): Promise<Service> {
  const folder = privateFolder({});
  const port = await freePort();
  const listen = tls
    ? ["--port", "0", "--tls-port", String(port), "--tls-cert-file", tls.certificateFile, "--tls-key-file", tls.keyFile,
      "--tls-auth-clients", "no"]
    : ["--port", String(port)];
  const answers = async (): Promise<boolean> => {
    const plain = { host: "127.0.0.1", port, reconnectStrategy: false as const };
    const socket = tls ? { ...plain, tls: true as const, ca: tls.authority, servername: "localhost" } : plain;
    const client = createClient({ password, socket });
    client.on("error", () => undefined);
    try {
      await client.connect();
      return await client.ping() === "PONG";
    } catch {
      return false;
    } finally {
      client.destroy();
    }
  };
  return launch({ program: needed(redisProgram()), port, folder, owner: {}, answers,
    args: [...listen, "--bind", "127.0.0.1", "--requirepass", password, "--save", "", "--dir", folder] });
}
