/** HTTPS with a certificate that is renewed while the server runs. */
import { readFileSync, unwatchFile, watchFile } from "node:fs";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import { createSecureContext } from "node:tls";
import type { RequestListener } from "node:http";
import { ConfigError } from "./env-reader.js";
import type { TlsFiles } from "./config.js";
import { describe, type Log } from "./log.js";

const WATCH_PERIOD_MS = 10_000;
const MIN_VERSION = "TLSv1.2";

interface KeyPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** @throws when a file cannot be read, is no PEM, or the two do not belong together. */
function readPair(files: TlsFiles): KeyPair {
  const pair = { cert: readFileSync(files.certificateFile), key: readFileSync(files.keyFile) };
  createSecureContext(pair);
  return pair;
}

/** @throws ConfigError when the certificate and the key cannot be used. */
export function createTlsServer(files: TlsFiles, listener: RequestListener): HttpsServer {
  try {
    return createHttpsServer({ ...readPair(files), minVersion: MIN_VERSION }, listener);
  } catch (error) {
    throw new ConfigError([`TLS_CERT_FILE and TLS_KEY_FILE cannot be used: ${describe(error)}; allowed: a certificate `
      + "and its own private key, both PEM"]);
  }
}

export interface CertificateWatch {
  /** Reads the files again now; new connections get the new certificate. */
  readonly reload: () => void;
  readonly end: () => void;
}

/** A pair that cannot be used (say, half renewed) is logged, and the one in use stays. */
export function watchCertificate(server: HttpsServer, files: TlsFiles, log: Log): CertificateWatch {
  const reload = (): void => {
    try {
      server.setSecureContext({ ...readPair(files), minVersion: MIN_VERSION });
      log.info("certificate loaded", { file: files.certificateFile });
    } catch (error) {
      log.error("the new certificate cannot be used, keeping the old one", { error });
    }
  };
  const paths = [files.certificateFile, files.keyFile];
  // By polling: a renewal that renames a new file into place escapes inotify's watch of the old one.
  for (const path of paths) watchFile(path, { interval: WATCH_PERIOD_MS, persistent: false }, reload);
  return {
    reload,
    end: () => { for (const path of paths) unwatchFile(path, reload); },
  };
}
