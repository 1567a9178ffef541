// The client of a system: one object for all services, made from the table of contracts/services.ts.

import type {
  DescMethod,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  Message,
} from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { Calls } from "./calls.js";
import type { Token } from "./connection.js";
import { SERVICES, type Services } from "./contracts/services.js";
import { Listing, type Page } from "./listing.js";
import type { CallOptions, WatchOptions } from "./shapes.js";
import { type Plain, valueOf } from "./values.js";
import { Watch } from "./watch.js";

/** All services of a system, and the end of the connection. */
export type Client = Services & {
  readonly target: string;
  /** Ends the connection. In a browser there is nothing to end. */
  close(): void;
};

interface Row {
  readonly method: DescMethod;
  readonly kind: "unary" | "list" | "watch" | "send";
  /** Of a list: the field that has the items. Of another call: the one message that its answer consists of. */
  readonly field?: string;
}

export function clientOf(
  target: string,
  transport: Transport,
  token: Token | undefined,
  close: () => void,
): Client {
  const calls = new Calls(target, transport, token);
  const services = Object.entries(SERVICES).map(([name, rows]) => {
    const methods = Object.entries(rows).map(([method, row]) => [method, caller(calls, row as Row)]);
    return [name, Object.fromEntries(methods)];
  });
  return { target, close, ...Object.fromEntries(services) } as Client;
}

function caller(calls: Calls, row: Row): unknown {
  switch (row.kind) {
    case "list":
      return (request?: Plain, options?: CallOptions) => listing(calls, row, request ?? {}, options ?? {});
    case "watch":
      return (request?: Plain, options?: WatchOptions) =>
        new Watch(calls, row.method as DescMethodServerStreaming, request ?? {}, options ?? {});
    case "send":
      return async (requests: Iterable<Plain> | AsyncIterable<Plain>, options?: CallOptions) =>
        answerOf(row, await calls.sending(row.method as DescMethodClientStreaming, requests, options ?? {}));
    case "unary":
      return async (request?: Plain | string, options?: CallOptions) =>
        answerOf(row, await calls.unary(row.method as DescMethodUnary, named(request), options ?? {}));
  }
}

/** A name alone stands for a request that has nothing else. */
function named(request: Plain | string | undefined): Plain {
  return typeof request === "string" ? { name: request } : (request ?? {});
}

function answerOf(row: Row, answer: Message): unknown {
  const value = valueOf(row.method.output, answer) as Plain;
  if (row.field !== undefined) {
    return value[row.field];
  }
  return row.method.output.fields.length === 0 ? undefined : value;
}

function listing(calls: Calls, row: Row, request: Plain, options: CallOptions): Listing<unknown> {
  async function fetchPage(pageToken: string): Promise<Page<unknown>> {
    const asked = { ...request, ...(pageToken && { pageToken }) };
    const answer = valueOf(
      row.method.output,
      await calls.unary(row.method as DescMethodUnary, asked, options),
    ) as Plain;
    return {
      items: answer[row.field ?? ""] as unknown[],
      nextPageToken: String(answer.nextPageToken),
      answer,
    };
  }
  return new Listing(fetchPage, options.limit);
}
