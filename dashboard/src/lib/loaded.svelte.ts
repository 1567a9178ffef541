// What a page asks for: its value, and in which state it is. An older value stays while a newer one can't be had.

import { CeleriacError, Unauthenticated } from "@celeriac/client/errors";
import { untrack } from "svelte";
import { live } from "./live.svelte";
import { session } from "./session.svelte";

// Below this, a reader sees no wait, and a note that flashes up would disturb.
const UNSEEN_MS = 150;

export class Loaded<Value> {
  value = $state.raw<Value | undefined>();
  error = $state.raw<CeleriacError | undefined>();
  /** It has taken long enough that it is worth saying so. */
  slow = $state(false);
  /** When the value was asked for, in milliseconds since 1970. */
  time = $state(0);
  private latest = 0;
  private ended = new AbortController();

  constructor(private readonly ask: (signal: AbortSignal) => Promise<Value>) {}

  /** Asks now. An answer that comes after that of a later question is dropped. */
  async reload(): Promise<void> {
    const asked = ++this.latest;
    const begun = Date.now();
    const wait = setTimeout(() => {
      this.slow = true;
    }, UNSEEN_MS);
    this.ended.abort();
    this.ended = new AbortController();
    try {
      const value = await this.ask(this.ended.signal);
      if (asked === this.latest) {
        this.value = value;
        this.error = undefined;
        this.time = begun;
      }
    } catch (error) {
      if (asked === this.latest) {
        this.error = toldError(error);
      }
    } finally {
      clearTimeout(wait);
      if (asked === this.latest) {
        this.slow = false;
      }
    }
  }

  end(): void {
    this.latest += 1;
    this.ended.abort();
  }
}

/** Returns what was thrown by a call as an error that can be shown; ends the session if it says so. */
export function toldError(error: unknown): CeleriacError {
  if (error instanceof Unauthenticated) {
    session.lost();
  }
  return error instanceof CeleriacError ? error : new CeleriacError(String(error));
}

/**
 * Returns what `ask` gives: at once, whenever something that `key` reads changes, after a gap of the live stream, and
 * each `every` milliseconds while somebody looks. To be called while a component is made.
 */
export function loaded<Value>(
  ask: (signal: AbortSignal) => Promise<Value>,
  options: { key?: () => unknown; every?: number } = {},
): Loaded<Value> {
  const found = new Loaded(ask);
  $effect(() => {
    options.key?.();
    void live.epoch;
    untrack(() => void found.reload());
  });
  $effect(() => {
    const again = setInterval(() => {
      if (!document.hidden && session.isSignedIn) {
        void found.reload();
      }
    }, options.every ?? 10_000);
    return () => {
      clearInterval(again);
      found.end();
    };
  });
  return found;
}
