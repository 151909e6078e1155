/** A temporary certificate authority, made with the openssl command. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const opensslMissing = spawnSync("openssl", ["version"]).status !== 0
  && "not installed: openssl (apt-get install openssl)";

export class Authority {
  readonly #folder = mkdtempSync(join(tmpdir(), "event-manager-ca-"));
  readonly certificateFile = join(this.#folder, "ca.crt");

  constructor() {
    this.#openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
      "-subj", "/CN=test authority", "-keyout", this.#path("ca.key"), "-out", this.certificateFile);
  }

  get certificate(): string {
    return readFileSync(this.certificateFile, "utf8");
  }

  /** @param alternative such as `DNS:localhost,IP:127.0.0.1` */
  issue(name: string, alternative: string): { certificateFile: string; keyFile: string } {
    const certificateFile = this.#path(`${name}.crt`);
    const keyFile = this.#path(`${name}.key`);
    writeFileSync(this.#path("ext"), `subjectAltName=${alternative}\n`);
    this.#openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", `/CN=${name}`,
      "-keyout", keyFile, "-out", this.#path("csr"));
    this.#openssl("x509", "-req", "-in", this.#path("csr"), "-CA", this.certificateFile, "-CAkey", this.#path("ca.key"),
      "-CAcreateserial", "-days", "1", "-extfile", this.#path("ext"), "-out", certificateFile);
    return { certificateFile, keyFile };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  #openssl(...args: string[]): void {
    execFileSync("openssl", args, { stdio: "ignore" });
  }
}
