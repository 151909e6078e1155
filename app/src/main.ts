/** The process: configuration in, signals, exit status out (0 stopped, 1 failed, 2 wrong configuration). */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { loadConfig } from "./config.js";
import { ConfigError } from "./env-reader.js";
import { describe, Log } from "./log.js";
import { start } from "./server.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

function fail(status: 1 | 2, lines: readonly string[]): never {
  for (const line of lines) process.stderr.write(`event-manager: ${line}\n`);
  process.exit(status);
}

function versionOf(root: string): string {
  const manifest = JSON.parse(readFileSync(`${root}/package.json`, "utf8")) as { version: string };
  return manifest.version;
}

async function main(): Promise<void> {
  const config = loadConfig(process.env);
  const log = new Log(config.logLevel, { server: config.serverId });
  const running = await start(config, log, ROOT, versionOf(ROOT));

  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    // The drain has its own time limit, so a second signal adds nothing.
    if (stopping) return;
    stopping = true;
    log.info("stopping", { signal });
    running.stop().then((cut) => {
      if (cut > 0) log.warn("requests cut off", { cut });
      log.info("stopped");
      process.exit(0);
    }, (error: unknown) => { fail(1, [describe(error)]); });
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("SIGHUP", running.reloadCertificate);
  await running.ready;
}

main().catch((error: unknown) => {
  if (error instanceof ConfigError) fail(2, error.problems);
  fail(1, [describe(error)]);
});
