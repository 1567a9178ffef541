// Watches: streams that resume by themselves after the last event of their reader, and say where some are missing.

import type { DescMessage, DescMethodServerStreaming, Message } from "@bufbuild/protobuf";
import { type Calls, sleep } from "./calls.js";
import { CeleriacError, Unavailable } from "./errors.js";
import { messageOf } from "./requests.js";
import type { Gap, Milliseconds, WatchOptions } from "./shapes.js";
import { type Plain, rawField, valueOf } from "./values.js";

// A server sends an empty message after each 15 s without changes. After this time, three of them are missing.
const LONGEST_SILENCE: Milliseconds = 45_000;
// The pause before the first attempt is random, up to this; the limit doubles with each failure, so that the readers
// of a server that restarts don't all come back at once.
const FIRST_PAUSE: Milliseconds = 1000;
const LONGEST_PAUSE: Milliseconds = 30_000;
// The codes of a broken stream. Others mean that the call is wrong, and would fail again.
const BREAKS = new Set([
  "UNAVAILABLE",
  "CANCELLED",
  "UNKNOWN",
  "INTERNAL",
  "DEADLINE_EXCEEDED",
  "RESOURCE_EXHAUSTED",
  "ABORTED",
  "DATA_LOSS",
]);

/**
 * Yields events and gaps, without end. Leave the loop, or give the signal, to end it.
 *
 *     for await (const event of client.operations.watch()) { … }
 */
export class Watch<Event> implements AsyncIterable<Event | Gap> {
  /** The position after the last event that you have finished: watch from here after a restart. */
  cursor: string;
  private failures = 0;

  constructor(
    private readonly calls: Calls,
    private readonly method: DescMethodServerStreaming,
    private readonly request: Plain,
    private readonly options: WatchOptions,
  ) {
    this.cursor = options.cursor ?? "";
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Event | Gap, void, undefined> {
    while (!this.options.signal?.aborted) {
      let messages = 0;
      const ended = new AbortController();
      const follow = () => {
        ended.abort();
      };
      this.options.signal?.addEventListener("abort", follow);
      let failed: unknown;
      try {
        for await (const message of this.messages(ended)) {
          yield* this.eventsOf(message);
          this.cursor = String((message as unknown as Plain).cursor);
          // Any reachable server sends a first message, even one that fails at the second.
          if (++messages > 1) {
            this.failures = 0;
          }
        }
        failed = new Unavailable("the server ended the stream");
      } catch (error) {
        failed = error;
      } finally {
        this.options.signal?.removeEventListener("abort", follow);
        ended.abort();
      }
      if (this.options.signal?.aborted) {
        return;
      }
      if (hasExpired(failed)) {
        this.cursor = "";
        yield { type: "gap", count: undefined };
      } else if (isBreak(failed, messages)) {
        const longest = Math.min(FIRST_PAUSE * 2 ** Math.min(this.failures++, 10), LONGEST_PAUSE);
        await sleep(Math.random() * longest, this.options.signal);
      } else {
        throw failed;
      }
    }
  }

  /** Yields the messages of one stream, which ends when it has been silent for too long. */
  private async *messages(ended: AbortController): AsyncGenerator<Message, void, undefined> {
    const request = messageOf(this.method.input, { ...this.request, cursor: this.cursor });
    const tooLong = () => {
      ended.abort(new Unavailable("no sign of life"));
    };
    let silence = setTimeout(tooLong, LONGEST_SILENCE);
    try {
      for await (const message of this.calls.stream(this.method, request, ended.signal)) {
        // What the reader does with the message is no silence of the server.
        clearTimeout(silence);
        yield message;
        silence = setTimeout(tooLong, LONGEST_SILENCE);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  private *eventsOf(message: Message): Generator<Event | Gap, void, undefined> {
    const leftOut = Number((message as unknown as Plain).leftOutCount ?? 0);
    if (leftOut > 0) {
      yield { type: "gap", count: leftOut };
    }
    const event = eventOf(this.method, message);
    if (event !== undefined) {
      yield event as Event;
    }
  }
}

/** Returns the event of a message, as the interfaces in contracts/ describe it; undefined for a sign of life. */
function eventOf(method: DescMethodServerStreaming, message: Message): Plain | undefined {
  const fields = method.output.fields;
  const lists = fields.filter((field) => field.fieldKind === "list");
  if (lists[0] !== undefined) {
    const isEmpty = lists.every((field) => (rawField(message, field) as unknown[]).length === 0);
    return isEmpty ? undefined : { type: lists[0].localName, ...(valueOf(method.output, message) as Plain) };
  }
  for (const field of fields) {
    const told = rawField(message, field);
    if (field.message !== undefined && told !== undefined) {
      return { type: field.localName, [field.localName]: toldOf(field.message, told as Message) };
    }
  }
  return undefined;
}

/** Returns the list itself for a message that is nothing but a list. */
function toldOf(schema: DescMessage, told: Message): unknown {
  const value = valueOf(schema, told);
  const [only, ...others] = schema.fields;
  return only?.fieldKind === "list" && others.length === 0 ? (value as Plain)[only.localName] : value;
}

function hasExpired(failed: unknown): boolean {
  return (
    failed instanceof CeleriacError &&
    failed.code === "FAILED_PRECONDITION" &&
    failed.reason === "CURSOR_EXPIRED"
  );
}

function isBreak(failed: unknown, messages: number): boolean {
  if (!(failed instanceof CeleriacError)) {
    return false;
  }
  // A token that was taken when the stream began may have expired since: the function gives a new one.
  const outlived = failed.reason === "TOKEN_EXPIRED" && messages > 0;
  return BREAKS.has(failed.code) || outlived;
}
