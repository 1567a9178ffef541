// Lengths of time: milliseconds for callers, google.protobuf.Duration in messages.

import type { Duration } from "@bufbuild/protobuf/wkt";
import type { Length, Milliseconds } from "./shapes.js";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Returns the milliseconds. Throws TypeError, which begins with `at`, for what is no length of time. */
export function milliseconds(given: Length, at: string): Milliseconds {
  if (typeof given === "number" && Number.isFinite(given)) {
    return given;
  }
  const [, number, unit] = /^(-?\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(String(given)) ?? [];
  if (number === undefined || unit === undefined) {
    throw new TypeError(
      `${at} is ${String(given)}; it has to be milliseconds, or a text such as "30s", "5m" or "2h"`,
    );
  }
  return Number(number) * (UNITS[unit] ?? 1);
}

export function lengthOf(duration: Duration): Milliseconds {
  return Number(duration.seconds) * 1000 + duration.nanos / 1_000_000;
}

/** Returns the fields of a Duration. */
export function durationOf(given: Length, at: string): { seconds: bigint; nanos: number } {
  const whole = milliseconds(given, at);
  const seconds = Math.trunc(whole / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((whole - seconds * 1000) * 1_000_000) };
}
