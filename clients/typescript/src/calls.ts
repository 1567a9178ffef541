// How every call is made: with a token, a deadline, and tries that have no second effect.
//
// UNAVAILABLE doesn't say whether a call was carried out: the connection may have ended after the request was sent.
// So only these are sent again: calls that change nothing, and changes that are made once for each request_id, which
// is filled in if the caller gave none. Any other call is sent once, and its error has `outcomeUnknown`.

import type {
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  Message,
} from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { headersWith, type Token } from "./connection.js";
import { Unavailable } from "./errors.js";
import { type Called, failure } from "./failures.js";
import { milliseconds } from "./lengths.js";
import { type Rules, rulesOf } from "./methods.js";
import { messageOf } from "./requests.js";
import type { CallOptions, Milliseconds } from "./shapes.js";
import type { Plain } from "./values.js";

const ATTEMPTS = 4;
const FIRST_PAUSE: Milliseconds = 100;
const LONGEST_PAUSE: Milliseconds = 2000;

export class Calls {
  constructor(
    readonly target: string,
    private readonly transport: Transport,
    private readonly token: Token | undefined,
  ) {}

  /** Returns the answer. Throws CeleriacError, or TypeError for a request that can't be right. */
  async unary(method: DescMethodUnary, request: Plain, options: CallOptions): Promise<Message> {
    const rules = rulesOf(method);
    const message = messageOf(method.input, withRequestId(rules, request));
    const once = async (left: Milliseconds | undefined) => {
      const headers = await headersWith(this.token);
      const response = await this.transport.unary(method, options.signal, left, headers, message);
      return response.message;
    };
    return this.attempts(rules, options, once);
  }

  /** Returns the answer to a stream of requests, which is sent once. */
  async sending(
    method: DescMethodClientStreaming,
    requests: Iterable<Plain> | AsyncIterable<Plain>,
    options: CallOptions,
  ): Promise<Message> {
    const rules = rulesOf(method);
    // What the caller's own side throws is told as it is: the transport would take it for its own.
    let wrong: { error: unknown } | undefined;
    async function* messages() {
      try {
        for await (const request of requests) {
          yield messageOf(method.input, request);
        }
      } catch (error) {
        wrong = { error };
        throw error;
      }
    }
    const once = { ...rules, changes: true, hasRequestId: false };
    const answer = this.attempts(once, options, async (left) => {
      const headers = await headersWith(this.token);
      const stream = await this.transport.stream(method, options.signal, left, headers, messages());
      for await (const message of stream.message) {
        return message;
      }
      throw new Unavailable("the stream ended without an answer", {}, rules.path, true);
    });
    return answer.catch((error: unknown) => {
      throw wrong === undefined ? error : wrong.error;
    });
  }

  /** Returns the messages of one stream. It ends with an error, or when the server ends it. */
  async *stream(
    method: DescMethodServerStreaming,
    request: Message,
    signal: AbortSignal,
  ): AsyncGenerator<Message, void, undefined> {
    const called = this.called(rulesOf(method), signal);
    async function* one() {
      yield request;
    }
    const headers = await headersWith(this.token);
    try {
      const stream = await this.transport.stream(method, signal, undefined, headers, one());
      yield* stream.message;
    } catch (cause) {
      throw failure(cause, called);
    }
  }

  private async attempts(
    rules: Rules,
    options: CallOptions,
    once: (left: Milliseconds | undefined) => Promise<Message>,
  ): Promise<Message> {
    const limit = options.deadline === undefined ? rules.deadline : given(options.deadline);
    const end = limit === undefined ? undefined : Date.now() + limit;
    const called = this.called(rules, options.signal);
    for (let attempt = 1; ; attempt++) {
      try {
        return await once(end === undefined ? undefined : Math.max(end - Date.now(), 1));
      } catch (cause) {
        // What can't be right (a token with a line break) is told as it is.
        if (cause instanceof TypeError) {
          throw cause;
        }
        const error = failure(cause, called);
        const again = error instanceof Unavailable && (!rules.changes || rules.hasRequestId);
        const pause = Math.random() * Math.min(FIRST_PAUSE * 2 ** attempt, LONGEST_PAUSE);
        if (!again || attempt === ATTEMPTS || (end !== undefined && Date.now() + pause >= end)) {
          throw error;
        }
        await sleep(pause, options.signal);
      }
    }
  }

  private called(rules: Rules, signal: AbortSignal | undefined): Called {
    return { path: rules.path, target: this.target, changes: rules.changes, signal };
  }
}

/** Resolves after the pause, or as soon as the signal is given. */
export async function sleep(pause: Milliseconds, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((done) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(end, pause);
    if (signal?.aborted) {
      end();
    }
    signal?.addEventListener("abort", end);
  });
}

function given(deadline: NonNullable<CallOptions["deadline"]>): Milliseconds {
  const found = milliseconds(deadline, "deadline");
  if (found <= 0) {
    throw new TypeError(`deadline is ${deadline}; it has to be more than 0, for example "30s"`);
  }
  return found;
}

function withRequestId(rules: Rules, request: Plain): Plain {
  return rules.hasRequestId && !request.requestId ? { ...request, requestId: crypto.randomUUID() } : request;
}
