// Messages as plain objects, as the interfaces in contracts/ describe them. What is unset is left out.

import { type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate, type Duration } from "@bufbuild/protobuf/wkt";
import { lengthOf } from "./lengths.js";
import { idOf } from "./names.js";

export type Plain = Record<string, unknown>;

/** What stands in place of a value that the caller's role may not read. */
export const REDACTED = "[redacted]";
const JSON_ENDING = "Json";

/** Returns what a message says. */
export function valueOf(schema: DescMessage, message: Message): unknown {
  switch (schema.typeName) {
    case "google.protobuf.Timestamp":
      return timestampDate(message as Timestamp);
    case "google.protobuf.Duration":
      return lengthOf(message as Duration);
    case "google.protobuf.Struct":
      // The stubs themselves have it as a plain object.
      return message;
  }
  if (standsForAValue(schema)) {
    return anyValue(schema, message);
  }
  const found: Plain = {};
  for (const field of schema.fields) {
    const value = fieldValue(message, field);
    if (value === undefined) {
      continue;
    }
    found[field.localName] = value;
    if (field.localName.endsWith(JSON_ENDING) && value !== "") {
      found[field.localName.slice(0, -JSON_ENDING.length)] = loaded(String(value));
    }
    if (field.name === "name" && typeof value === "string") {
      Object.assign(found, idOf(schema, value));
    }
  }
  return found;
}

/** Whether a message stands for one value of any type: all of it is a oneof `kind` of fields named `..._value`. */
export function standsForAValue(schema: DescMessage): boolean {
  return (
    schema.oneofs.some((oneof) => oneof.name === "kind" && oneof.fields.length === schema.fields.length) &&
    schema.fields.every((field) => field.name.endsWith("_value"))
  );
}

/** Returns a field as the stubs have it; undefined if it is an unset member of a oneof, or has no value. */
export function rawField(message: Message, field: DescField): unknown {
  const raw = message as unknown as Record<string, unknown>;
  if (field.oneof === undefined) {
    return raw[field.localName];
  }
  const oneof = raw[field.oneof.localName] as { case: string | undefined; value?: unknown };
  return oneof.case === field.localName ? oneof.value : undefined;
}

function anyValue(schema: DescMessage, message: Message): unknown {
  for (const field of schema.fields) {
    const value = fieldValue(message, field);
    if (value !== undefined) {
      return field.fieldKind === "message" ? { duration: value } : value;
    }
  }
  return undefined;
}

function fieldValue(message: Message, field: DescField): unknown {
  const raw = rawField(message, field);
  if (raw === undefined) {
    return undefined;
  }
  switch (field.fieldKind) {
    case "list":
      return (raw as unknown[]).map((each) => single(field, each));
    case "map":
      return Object.fromEntries(
        Object.entries(raw as object).map(([key, each]) => [key, single(field, each)]),
      );
    default:
      return single(field, raw);
  }
}

function single(field: DescField, raw: unknown): unknown {
  if (field.message !== undefined) {
    return valueOf(field.message, raw as Message);
  }
  if (field.enum !== undefined) {
    // UNSPECIFIED is unset; a value that this client doesn't know yet is its number.
    return raw === 0 ? undefined : (field.enum.value[raw as number]?.localName ?? String(raw));
  }
  return typeof raw === "bigint" ? exactNumber(raw, field) : raw;
}

/** Returns a whole number of 64 bits as a number. Throws RangeError instead of a wrong one. */
function exactNumber(raw: bigint, field: DescField): number {
  const number = Number(raw);
  if (!Number.isSafeInteger(number)) {
    throw new RangeError(
      `${field.toString()} is ${raw}, which no number of JavaScript can hold; read it by the stubs`,
    );
  }
  return number;
}

function loaded(text: string): unknown {
  return text === REDACTED ? text : JSON.parse(text);
}
