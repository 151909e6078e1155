/** A TCP proxy that injects the faults of hosts and networks. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { until } from "./until.js";

/**
 * - `pass`: no fault;
 * - `refuse`: the port is closed and connections are reset, as when a process has died;
 * - `close`: connections are accepted and closed, as by a pooler that has no server; `accepted` counts them;
 * - `hang`: data is accepted and nothing is answered, as when a host has lost its power or hangs;
 * - `slow`: each answer is delayed by `SLOW_MS`;
 * - `lose answer`: the next request is delivered, but the connection is reset instead of its answer.
 */
export type Fault = "pass" | "refuse" | "close" | "hang" | "slow" | "lose answer";
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

  /** Connections accepted since the last change of fault. */
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
    if (fault === "close") this.#reset();
    if (fault === "refuse") await this.#close();
    else if (before === "refuse") await this.#listen();
    // A host that comes back does not know its old connections.
    if (before === "hang" && fault === "pass") this.#reset();
  }

  /** Resolves when an answer was lost; from then on there is no fault. */
  async loseNextAnswer(): Promise<void> {
    await this.set("lose answer");
    await until("an answer is lost", () => this.#fault !== "lose answer");
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
      // Node does not reset a socket that is ending: it would stay open and keep the process alive.
      if (socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  #relay(client: Socket): void {
    this.#accepted += 1;
    if (this.#fault === "close") {
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
        if (this.#fault !== "hang") peer.destroy();
      });
    }
    client.on("data", (chunk) => {
      if (this.#fault !== "hang") target.write(chunk);
    });
    target.on("data", (chunk) => {
      if (this.#fault === "pass") client.write(chunk);
      if (this.#fault === "slow") setTimeout(() => { client.write(chunk); }, SLOW_MS);
      if (this.#fault === "lose answer") {
        this.#fault = "pass";
        client.resetAndDestroy();
      }
    });
  }
}
