import assert from "node:assert/strict";
import { test } from "node:test";
import type { Request, Response } from "express";
import { sameOriginOnly } from "../src/origin.js";

const ORIGINS: readonly (readonly [origin: string, host: string, allowed: boolean])[] = [
  ["https://site.example", "site.example", true],
  ["https://site.example:443", "site.example", true],
  ["https://site.example", "site.example:443", true],
  ["https://site.example:8443", "site.example", false],
  ["https://site.example.evil.example", "site.example", false],
  ["https://evil-site.example", "site.example", false],
  ["null", "site.example", false],
];
for (const [origin, host, allowed] of ORIGINS) {
  test(`a write from ${origin} to ${host} is ${allowed ? "allowed" : "refused"}`, () => {
    const headers: Readonly<Record<string, string>> = { Origin: origin, Host: host };
    const request = { method: "POST", get: (name: string) => headers[name] } as unknown as Request;
    let problem: unknown;
    sameOriginOnly(request, {} as unknown as Response, (error?: unknown) => { problem = error; });
    assert.equal(problem === undefined, allowed);
  });
}
