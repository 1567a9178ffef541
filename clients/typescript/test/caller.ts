// Does the calls that a test asks for, one line of JSON each, and tells what became of them in a line each.

import { createInterface } from "node:readline";
import { type CallOptions, CeleriacError, connect } from "../src/node.js";

interface Asked {
  readonly service: string;
  readonly method: string;
  readonly request: unknown;
  readonly options?: CallOptions & { readonly events?: number };
}

type Method = (request: unknown, options: unknown) => unknown;

const client = connect();

async function resultOf({ service, method, request, options }: Asked): Promise<unknown> {
  const called = (client as unknown as Record<string, Record<string, Method>>)[service]?.[method];
  const answer = called?.(request, options);
  if (!isIterable(answer)) {
    return (await answer) ?? null;
  }
  const found: unknown[] = [];
  for await (const item of answer) {
    found.push(item);
    if (found.length === options?.events) {
      break;
    }
  }
  return found;
}

function isIterable(answer: unknown): answer is AsyncIterable<unknown> {
  return typeof answer === "object" && answer !== null && Symbol.asyncIterator in answer;
}

function told(error: unknown): object {
  return error instanceof CeleriacError
    ? { ...error, message: error.message, name: error.name, cause: undefined }
    : { message: String(error), stack: (error as Error).stack };
}

for await (const line of createInterface(process.stdin)) {
  const said = await resultOf(JSON.parse(line) as Asked).then(
    (result) => ({ result }),
    (error: unknown) => ({ error: told(error) }),
  );
  console.log(JSON.stringify(said));
}
client.close();
