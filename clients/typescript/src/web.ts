// The client for browsers: gRPC-Web. The browser itself decides which certificates it trusts.

import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { type Client, clientOf } from "./client.js";
import { checkedTarget, checkedToken, type Token } from "./connection.js";

export * from "./public.js";

export interface ConnectOptions {
  /** host:port of the gateway; that of the page if not given. */
  readonly target?: string;
  /** The token, or a function that gives the one of now. Not needed by pages that are signed in by a cookie. */
  readonly token?: Token;
}

/**
 * Returns a client of the system whose gateway is at `target`. Nothing is sent before the first call.
 *
 * Throws TypeError, with a sentence, if something can't be right.
 */
export function connect(options: ConnectOptions = {}): Client {
  const { host, port } = globalThis.location ?? {};
  const target = checkedTarget(options.target ?? (port === "" ? `${host}:443` : host));
  if (typeof options.token === "string") {
    checkedToken(options.token);
  }
  const transport = createGrpcWebTransport({ baseUrl: `https://${target}` });
  return clientOf(target, transport, options.token, () => undefined);
}
