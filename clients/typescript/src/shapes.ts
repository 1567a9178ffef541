// The types that the interfaces in contracts/ are made of, and what a caller gives beside a request.

export { Listing } from "./listing.js";
export { Watch } from "./watch.js";

/** A length of time as it is read: in milliseconds, as Date and setTimeout count. */
export type Milliseconds = number;

/** A length of time as it is given: milliseconds, or a text that names its unit: "250ms", "30s", "5m", "2h", "7d". */
export type Length = number | string;

/** A value of the live configuration. A length of time is told apart from a number: { duration: "30s" }. */
export type Value = boolean | number | string | { readonly duration: Length };

/** A place: degrees of latitude and longitude. */
export interface LatLng {
  readonly latitude: number;
  readonly longitude: number;
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** One event of a watch: `event.type` says which, and the attribute of that name has it. */
export type Event<Name extends string, Told> = { readonly type: Name } & { readonly [key in Name]: Told };

/** Told where events of a watch are missing: list what you need, to know its present state. */
export interface Gap {
  readonly type: "gap";
  /** How many are missing; undefined if nobody knows. */
  readonly count: number | undefined;
}

export interface CallOptions {
  /** How long the call may take, with all its tries; as long as the contract lets it, if not given. */
  readonly deadline?: Length;
  /** Ends the call early: it then fails with Cancelled. */
  readonly signal?: AbortSignal;
  /** Of a list: the most items to read. */
  readonly limit?: number;
}

export interface WatchOptions {
  /** Where to begin: the `cursor` of an earlier watch. */
  readonly cursor?: string;
  /** Ends the watch: its loop then ends without an error. */
  readonly signal?: AbortSignal;
}
