/** Typed reading of environment variables that collects every problem before it gives up. */
import { accessSync, constants, readFileSync } from "node:fs";

export type Environment = Readonly<Record<string, string | undefined>>;

export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** Reads variables; an empty one counts as not set. What a wrong one returns is never used: `finish` throws. */
export class EnvReader {
  readonly #environment: Environment;
  readonly #problems: string[] = [];

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  has(name: string): boolean {
    return this.#get(name) !== undefined;
  }

  problem(name: string, what: string, allowed: string): void {
    this.#problems.push(`${name} ${what}; allowed: ${allowed}`);
  }

  /** @throws ConfigError when anything was wrong. */
  finish(): void {
    if (this.#problems.length > 0) throw new ConfigError(this.#problems);
  }

  text(name: string, pattern: RegExp, allowed: string, fallback?: string): string {
    const value = this.#get(name) ?? fallback;
    if (value === undefined) this.problem(name, "is not set", allowed);
    else if (!pattern.test(value)) this.problem(name, `is '${value}'`, allowed);
    return value ?? "";
  }

  /** A value that no message repeats. */
  secret(name: string, minLength: number, fallback?: string): string {
    const value = this.#get(name) ?? fallback;
    const allowed = `a secret of ${String(minLength)} characters or more`;
    if (value === undefined) this.problem(name, "is not set", allowed);
    else if (value.length < minLength) this.problem(name, `has ${String(value.length)} characters`, allowed);
    return value ?? "";
  }

  choice<T extends string>(name: string, choices: readonly T[], fallback: T): T {
    const value = this.#get(name) ?? fallback;
    const found = choices.find((choice) => choice === value);
    if (found === undefined) this.problem(name, `is '${value}'`, choices.join(", "));
    return found ?? fallback;
  }

  integer(name: string, min: number, max: number, fallback: number): number {
    return this.#number(name, /^\d{1,9}$/, "a whole number", min, max, fallback);
  }

  seconds(name: string, min: number, max: number, fallback: number): number {
    return this.#number(name, /^\d{1,9}(\.\d{1,3})?$/, "a number of seconds", min, max, fallback);
  }

  /** @returns undefined when the variable is missing or no such address; that is a problem already noted. */
  url(name: string, protocols: readonly string[], options: { secret?: boolean } = {}): URL | undefined {
    const value = this.#get(name);
    const allowed = `an address that begins with ${protocols.map((protocol) => `${protocol}//`).join(" or ")}`;
    if (value === undefined) {
      this.problem(name, "is not set", allowed);
      return undefined;
    }
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (!url || !protocols.includes(url.protocol) || url.hostname === "") {
      this.problem(name, options.secret ? "is not such an address" : `is '${value}'`, allowed);
      return undefined;
    }
    return url;
  }

  /** The path of a file that can be read; undefined when not set. */
  file(name: string): string | undefined {
    const path = this.#get(name);
    if (path === undefined) return undefined;
    try {
      accessSync(path, constants.R_OK);
      return path;
    } catch {
      this.problem(name, `is '${path}'`, "a file that this user can read");
      return undefined;
    }
  }

  contents(name: string, path: string): string {
    try {
      return readFileSync(path, "utf8");
    } catch {
      this.problem(name, `is '${path}'`, "a file that this user can read");
      return "";
    }
  }

  #get(name: string): string | undefined {
    const value = this.#environment[name];
    return value === "" ? undefined : value;
  }

  #number(name: string, pattern: RegExp, kind: string, min: number, max: number, fallback: number): number {
    const value = this.#get(name);
    if (value === undefined) return fallback;
    const number = Number(value);
    if (!pattern.test(value) || number < min || number > max) {
      this.problem(name, `is '${value}'`, `${kind} from ${String(min)} to ${String(max)}`);
    }
    return number;
  }
}
