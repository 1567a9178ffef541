// Waits for the end of what goes on after its call: runs of schedules, and operations.

import { sleep } from "./calls.js";
import type { Client } from "./client.js";
import type { Operation } from "./contracts/operations.js";
import type { Run } from "./contracts/scheduler.js";
import { Cancelled, DeadlineExceeded } from "./errors.js";
import { milliseconds } from "./lengths.js";
import type { Length, Milliseconds } from "./shapes.js";

// The time between two looks at a run: the first, and the longest that it grows to.
const FIRST_PAUSE: Milliseconds = 100;
const LONGEST_PAUSE: Milliseconds = 2000;
// How long one WaitOperation waits at the server; the contract allows a minute.
const ONE_WAIT: Milliseconds = 30_000;

export interface WaitOptions {
  /** The longest to wait; without end, if not given. */
  readonly timeout?: Length;
  /** Ends the waiting, with Cancelled. */
  readonly signal?: AbortSignal;
}

/**
 * Returns the run or operation after its end: see a run's `outcome` and `error`, an operation's `state`.
 *
 * Throws DeadlineExceeded if it has not ended in time; it goes on then. The outcome of a run comes from the monitor:
 * without it, or where workers send no events, none ever comes.
 */
export async function untilEnded(client: Client, run: Run, options?: WaitOptions): Promise<Run>;
export async function untilEnded(
  client: Client,
  operation: Operation,
  options?: WaitOptions,
): Promise<Operation>;
export async function untilEnded(
  client: Client,
  begun: Run | Operation,
  { timeout, signal }: WaitOptions = {},
): Promise<Run | Operation> {
  const end = timeout === undefined ? Infinity : Date.now() + milliseconds(timeout, "timeout");
  let found = begun;
  for (let pause = FIRST_PAUSE; !hasEnded(found); pause = Math.min(pause * 1.5, LONGEST_PAUSE)) {
    const left = end - Date.now();
    if (signal?.aborted) {
      throw new Cancelled(`${found.name} was no longer waited for; it goes on`);
    }
    if (left <= 0) {
      throw new DeadlineExceeded(`${found.name} has not ended in the time that was given; it goes on`);
    }
    if (isRun(found)) {
      await sleep(Math.min(pause, left), signal);
      found = await client.schedules.getRun(found.name, signal && { signal });
    } else {
      const request = { name: found.name, timeout: Math.min(ONE_WAIT, Math.ceil(left)) };
      found = await client.operations.wait(request, signal && { signal });
    }
  }
  return found;
}

function isRun(found: Run | Operation): found is Run {
  return found.name.startsWith("schedules/");
}

function hasEnded(found: Run | Operation): boolean {
  if (isRun(found)) {
    return found.outcome !== undefined || found.state === "SKIPPED" || found.state === "LOST";
  }
  return found.state !== "RUNNING" && found.state !== "CANCELLING";
}
