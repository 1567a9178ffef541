// Plain objects into the messages of requests. What does not fit is refused, with the field's path.

import {
  create,
  type DescEnum,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { durationOf } from "./lengths.js";
import { fullName } from "./names.js";
import { type Plain, REDACTED, standsForAValue } from "./values.js";

/** Returns the message. Throws TypeError, which names the field, for a value that does not fit. */
export function messageOf(schema: DescMessage, given: Plain, path = ""): Message {
  const fields = new Map<string, DescField>(schema.fields.map((field) => [field.localName, field]));
  const init: Plain = {};
  for (const [name, value] of Object.entries(given)) {
    const field = fields.get(name) ?? fields.get(`${name}Json`);
    const at = path + name;
    if (value === undefined || value === null || isTold(name, given, fields)) {
      continue;
    }
    if (field === undefined) {
      const known = [...fields.keys()].map((each) => each.replace(/Json$/, "")).join(", ");
      throw new TypeError(`${at} is not a field of ${schema.name}; it has: ${known}`);
    }
    put(init, field, field.localName === name ? fieldOf(field, value, at) : jsonOf(name, value, given, at));
  }
  return create(schema, init as never);
}

/** Whether the name is of what values.ts adds to a message, so that what was read can be sent again. */
function isTold(name: string, given: Plain, fields: ReadonlyMap<string, DescField>): boolean {
  const plain = name.replace(/Json$/, "");
  return (
    (name === "id" && !fields.has("id")) ||
    (plain !== name && !fields.has(plain) && given[plain] !== undefined)
  );
}

function put(init: Plain, field: DescField, value: unknown): void {
  if (field.oneof === undefined) {
    init[field.localName] = value;
  } else {
    init[field.oneof.localName] = { case: field.localName, value };
  }
}

/** Returns a value as JSON: the very text that was read, if it still says the same. */
function jsonOf(name: string, value: unknown, given: Plain, at: string): string {
  const before = given[`${name}Json`];
  const text = value === REDACTED ? REDACTED : JSON.stringify(value);
  if (text === undefined) {
    throw new TypeError(`${at} is of the type ${typeof value}, which JSON does not have`);
  }
  const isSame = typeof before === "string" && before !== "" && before !== REDACTED;
  return isSame && JSON.stringify(JSON.parse(before)) === text ? before : text;
}

function fieldOf(field: DescField, value: unknown, at: string): unknown {
  if (field.fieldKind === "list") {
    if (!Array.isArray(value)) {
      throw new TypeError(`${at} is of the type ${typeof value}; it has to be an array`);
    }
    return value.map((each, index) => single(field, each, `${at}[${index}]`));
  }
  if (field.fieldKind === "map") {
    const entries = Object.entries(value as object);
    return Object.fromEntries(entries.map(([key, each]) => [key, single(field, each, `${at}.${key}`)]));
  }
  return single(field, value, at);
}

function single(field: DescField, value: unknown, at: string): unknown {
  if (field.message !== undefined) {
    return nested(field.message, value, at);
  }
  if (field.enum !== undefined) {
    return numberOf(field.enum, value, at);
  }
  if (field.scalar === ScalarType.BYTES) {
    return bytesOf(value, at);
  }
  return scalar(field, value, at);
}

function nested(schema: DescMessage, value: unknown, at: string): unknown {
  switch (schema.typeName) {
    case "google.protobuf.Timestamp":
      if (!(value instanceof Date) || Number.isNaN(value.getTime())) {
        throw new TypeError(`${at} has to be a valid Date: new Date("2026-12-01T03:30:00+08:00")`);
      }
      return timestampFromDate(value);
    case "google.protobuf.Duration":
      return durationOf(value as never, at);
    case "google.protobuf.FieldMask":
      return { paths: value };
    case "google.protobuf.Struct":
      return value;
  }
  if (standsForAValue(schema)) {
    return { kind: kindOf(value, at) };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError(
      `${at} is of the type ${typeof value}; it has to be an object with fields of ${schema.name}`,
    );
  }
  return messageOf(schema, value as Plain, `${at}.`);
}

function kindOf(value: unknown, at: string): { case: string; value: unknown } {
  switch (typeof value) {
    case "boolean":
      return { case: "boolValue", value };
    case "number":
      return Number.isSafeInteger(value)
        ? { case: "intValue", value: BigInt(value) }
        : { case: "floatValue", value };
    case "string":
      return { case: "stringValue", value };
  }
  const length = (value as { duration?: unknown } | null)?.duration;
  if (length === undefined) {
    throw new TypeError(`${at} has to be a boolean, a number, a string or { duration: "30s" }`);
  }
  return { case: "durationValue", value: durationOf(length as never, `${at}.duration`) };
}

function numberOf(schema: DescEnum, value: unknown, at: string): number {
  const found = schema.values.find((each) => each.localName === value);
  if (found === undefined) {
    const known = schema.values.filter((each) => each.number !== 0).map((each) => each.localName);
    throw new TypeError(`${at} can't be ${JSON.stringify(value)}; it is one of: ${known.join(", ")}`);
  }
  return found.number;
}

/** Returns bytes as they are, and the numbers of a vector as little-endian float32. */
function bytesOf(value: unknown, at: string): Uint8Array {
  if (value instanceof Uint8Array) {
    return value;
  }
  if (!Array.isArray(value)) {
    throw new TypeError(`${at} has to be a Uint8Array, or an array with the numbers of a vector`);
  }
  const view = new DataView(new ArrayBuffer(value.length * 4));
  value.forEach((number: number, index) => {
    view.setFloat32(index * 4, number, true);
  });
  return new Uint8Array(view.buffer);
}

function scalar(field: DescField, value: unknown, at: string): unknown {
  const wanted =
    { [ScalarType.STRING]: "string", [ScalarType.BOOL]: "boolean" }[field.scalar as number] ?? "number";
  if (typeof value !== wanted) {
    throw new TypeError(`${at} is of the type ${typeof value}; it has to be a ${wanted}`);
  }
  if (wanted === "string") {
    return fullName(field, value as string);
  }
  const isWhole =
    wanted === "number" && field.scalar !== ScalarType.DOUBLE && field.scalar !== ScalarType.FLOAT;
  if (isWhole && !Number.isSafeInteger(value)) {
    throw new TypeError(`${at} is ${String(value)}; it has to be a whole number`);
  }
  return is64Bits(field.scalar) ? BigInt(value as number) : value;
}

function is64Bits(scalar: ScalarType | undefined): boolean {
  return scalar === ScalarType.INT64 || scalar === ScalarType.UINT64;
}
