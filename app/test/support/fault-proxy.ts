/** A TCP relay that can fail as hosts and networks do. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { until } from "./until.js";

/**
 * - `pass`: relays;
 * - `refuse`: the port is closed and connections are reset, as when a process has died;
 * - `hang up`: connections are taken and closed, as by a pool that has no server; `accepted` counts them;
 * - `silent`: everything is taken and nothing comes back, as when a host has lost its power or hangs;
 * - `slow`: what comes back takes `SLOW_MS`;
 * - `mute`: requests still get through, their answers do not: the connection breaks instead.
 */
export type Fault = "pass" | "refuse" | "hang up" | "silent" | "slow" | "mute";
export const SLOW_MS = 650;

export class FaultProxy {
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #fault: Fault = "pass";
  #port = 0;
  #accepted = 0;

  constructor(targetPort: number) {
    this.#target = targetPort;
  }

  get port(): number {
    return this.#port;
  }

  /** Connections taken since the last change of fault. */
  get accepted(): number {
    return this.#accepted;
  }

  async start(): Promise<this> {
    await this.#listen();
    return this;
  }

  async set(fault: Fault): Promise<void> {
    const before = this.#fault;
    this.#fault = fault;
    this.#accepted = 0;
    if (fault === "hang up") this.#reset();
    if (fault === "refuse") await this.#close();
    else if (before === "refuse") await this.#listen();
    // What was silent stays so: a host that comes back knows nothing of its old connections.
    if (before === "silent" && fault === "pass") this.#reset();
  }

  /** Swallows the next answer, resets the connection and passes again. Settles when that has happened. */
  async muteOnce(): Promise<void> {
    await this.set("mute");
    await until("an answer is lost", () => this.#fault !== "mute");
  }

  async stop(): Promise<void> {
    await this.#close();
  }

  #listen(): Promise<void> {
    const server = createServer((client) => { this.#relay(client); });
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#port, "127.0.0.1", () => {
        this.#port = (server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  async #close(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    await new Promise<void>((resolve) => {
      server.close(() => { resolve(); });
      this.#reset();
    });
  }

  #reset(): void {
    for (const socket of this.#sockets) {
      // Node cannot reset one that is ending: it would stay open, and the process with it.
      if (socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  #relay(client: Socket): void {
    this.#accepted += 1;
    if (this.#fault === "hang up") {
      client.on("error", () => undefined);
      client.destroy();
      return;
    }
    const target = connect(this.#target, "127.0.0.1");
    for (const [socket, peer] of [[client, target], [target, client]] as const) {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        if (this.#fault !== "silent") peer.destroy();
      });
    }
    client.on("data", (chunk) => {
      if (this.#fault !== "silent") target.write(chunk);
    });
    target.on("data", (chunk) => {
      if (this.#fault === "pass") client.write(chunk);
      if (this.#fault === "slow") setTimeout(() => { client.write(chunk); }, SLOW_MS);
      if (this.#fault === "mute") {
        this.#fault = "pass";
        client.resetAndDestroy();
      }
    });
  }
}
