// What a reader can do: each act is asked for in one dialog, shows its count and its command, and tells what came of it.

import type { CeleriacError } from "@celeriac/client/errors";
import type { MethodName } from "./client";
import { toldError } from "./loaded.svelte";

export interface Done {
  readonly told: string;
  /** How to take it back. */
  readonly undo?: { readonly label: string; readonly run: () => Promise<Done> };
  /** Where more is said of it. */
  readonly link?: { readonly label: string; readonly to: string };
}

export interface Act {
  readonly method: MethodName;
  /** What the button says. */
  readonly label: string;
  /** The dialog's heading: what is done to which thing. */
  readonly title: string;
  /** What will happen. */
  readonly text?: string;
  /** The same as a command line. */
  readonly command: (note: string) => string;
  /** A text that is asked for: why. */
  readonly note?: string;
  /** Asked before, as a dry run: how much it concerns. Throws if it would be refused. */
  readonly foresee?: () => Promise<string>;
  /** What has to be typed first, of acts that take something away. */
  readonly typed?: string;
  readonly danger?: boolean;
  readonly run: (note: string) => Promise<Done>;
}

export interface Told extends Done {
  readonly key: number;
  readonly error?: CeleriacError;
}

// Long enough to be read; what can be undone stays until it is put away.
const SHOWN_MS = 8000;

class Acts {
  asked = $state.raw<Act | undefined>();
  told = $state.raw<readonly Told[]>([]);
  private keys = 0;

  ask(act: Act): void {
    this.asked = act;
  }

  tell(done: Done, error?: CeleriacError): void {
    const key = ++this.keys;
    this.told = [...this.told, { ...done, key, ...(error && { error }) }];
    if (!done.undo && !error) {
      setTimeout(() => this.putAway(key), SHOWN_MS);
    }
  }

  putAway(key: number): void {
    this.told = this.told.filter((each) => each.key !== key);
  }

  async undo(told: Told): Promise<void> {
    this.putAway(told.key);
    try {
      this.tell((await told.undo?.run()) ?? told);
    } catch (error) {
      const fault = toldError(error);
      this.tell({ told: fault.told }, fault);
    }
  }
}

export const acts = new Acts();

/** Quotes a word for a shell where it has to be. */
export function quoted(word: string): string {
  return /^[\p{L}\p{N}_.,:@%/+=-]+$/u.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Returns the command line that gives a note as its message, where there is one. */
export function withNote(command: string, note: string): string {
  return note ? `${command} -m ${quoted(note)}` : command;
}
