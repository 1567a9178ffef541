// The client for Node.js: gRPC over HTTP/2.

import { readFileSync } from "node:fs";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type Client, clientOf } from "./client.js";
import { checkedTarget, checkedToken, type Token } from "./connection.js";

export * from "./public.js";

export interface ConnectOptions {
  /** host:port of the gateway; CELERIAC_TARGET if not given. */
  readonly target?: string;
  /** The token, or a function that gives the one of now; CELERIAC_TOKEN if not given. */
  readonly token?: Token;
  /** A PEM file of the authority that signed the gateway's certificate; CELERIAC_CA, or Node's own, if not given. */
  readonly ca?: string;
}

/**
 * Returns a client of the system whose gateway is at `target`. Nothing is sent before the first call.
 *
 * Throws TypeError, with a sentence, if something can't be right.
 */
export function connect(options: ConnectOptions = {}): Client {
  const target = checkedTarget(options.target ?? process.env.CELERIAC_TARGET ?? missingTarget());
  const token = options.token ?? process.env.CELERIAC_TOKEN;
  if (typeof token === "string") {
    checkedToken(token);
  }
  const ca = options.ca ?? process.env.CELERIAC_CA;
  const authority = ca ? { ca: readAuthority(ca) } : {};
  const baseUrl = `https://${target}`;
  // A connection that is silently dead is found out by pings, also while a watch waits for news.
  const pings = { pingIntervalMs: 30_000, pingTimeoutMs: 15_000 };
  const sessionManager = new Http2SessionManager(baseUrl, pings, authority);
  const transport = createGrpcTransport({ baseUrl, nodeOptions: authority, sessionManager });
  return clientOf(target, transport, token, () => {
    sessionManager.abort();
  });
}

function missingTarget(): never {
  throw new TypeError('no target: give connect({ target: "127.0.0.1:8443" }), or set CELERIAC_TARGET');
}

function readAuthority(path: string): Buffer {
  let found: Buffer;
  try {
    found = readFileSync(path);
  } catch (error) {
    const { message } = error as Error;
    throw new TypeError(
      `the authority's file can't be read: ${message}; that of \`make up\` is .celeriac/ca.pem`,
    );
  }
  if (!found.includes("-----BEGIN CERTIFICATE-----")) {
    throw new TypeError(`${path} has no certificate; it has to be a PEM file, such as .celeriac/ca.pem`);
  }
  return found;
}
