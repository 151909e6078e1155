/** Input from outside becomes typed values, or a 400 that says what is wrong with each field. */
import { z } from "zod";
import { HttpError } from "./errors.js";

/** @throws HttpError 400 with one message a field. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  return parse(schema, body ?? {}, "Some fields are not valid.");
}

/** @throws HttpError 400 with one message a parameter. */
export function parseQuery<T>(schema: z.ZodType<T>, query: unknown): T {
  return parse(schema, query, "The address has an unknown or invalid parameter.");
}

function parse<T>(schema: z.ZodType<T>, input: unknown, message: string): T {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const fields: Record<string, string> = {};
  for (const issue of result.error.issues) {
    const names = issue.code === "unrecognized_keys" ? issue.keys : [issue.path.join(".") || "body"];
    for (const name of names) {
      fields[name] ??= issue.code === "unrecognized_keys" ? "There is no such field." : issue.message;
    }
  }
  throw new HttpError(400, "invalid", message, fields);
}

/** Text of one or more lines without control characters, which PostgreSQL cannot store or a page cannot show. */
export function plainText(max: number) {
  return z.string("Must be text.")
    .trim()
    .max(max, `At most ${String(max)} characters.`)
    .regex(/^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F]*$/, "Must not contain control characters.")
    .refine((text) => text.isWellFormed(), "Must be well-formed Unicode.");
}
