// Who is signed in. The token itself is in a cookie that no script can read.

import { t } from "./looks.svelte";

export interface Session {
  readonly signed_in: boolean;
  readonly subject?: string;
  readonly role?: string;
  readonly end_time?: string;
  readonly renew_time?: string;
  readonly second_factor?: boolean;
}

class Sessions {
  /** Undefined until it is known. */
  now = $state.raw<Session | undefined>();
  /** What an act of the session was refused with; "" for nothing. */
  fault = $state("");
  private renewal: ReturnType<typeof setTimeout> | undefined;
  // How often somebody acted: an answer asked for before an act is out of date after it.
  private acts = 0;

  readonly isSignedIn = $derived(this.now?.signed_in === true);

  async look(): Promise<void> {
    const before = this.acts;
    const answer = await fetch("/session").catch(() => null);
    const told: Session | undefined = answer?.ok ? await answer.json() : undefined;
    if (told && before === this.acts) {
      this.show(told);
    } else if (this.now === undefined && before === this.acts) {
      this.fault = t().session.unreachable;
    }
  }

  /** Returns whether it was done; `fault` says why not. */
  async act(what: "renew" | "step-up" | "sign-out", body: object = {}): Promise<boolean> {
    this.acts += 1;
    this.fault = "";
    const answer = await fetch(`/session/${what}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }).catch(() => null);
    if (answer?.ok) {
      this.show(await answer.json());
      return true;
    }
    if (answer?.status === 401) {
      this.lost();
      return false;
    }
    const told = (await answer?.json().catch(() => undefined)) as { message?: string } | undefined;
    this.fault = told?.message ?? t().session.unreachable;
    return false;
  }

  /** The sign-in is over: it ended, or was revoked. */
  lost(): void {
    this.show({ signed_in: false });
  }

  private show(next: Session): void {
    this.now = next;
    this.fault = "";
    clearTimeout(this.renewal);
    if (next.renew_time) {
      const wait = Math.max(0, new Date(next.renew_time).getTime() - Date.now());
      this.renewal = setTimeout(() => this.renew(), wait);
    }
  }

  // At half of the token's life, while somebody looks; a page that comes back to the front looks first.
  private renew(): void {
    if (!document.hidden) {
      void this.act("renew");
    }
  }
}

export const session = new Sessions();

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    void session.look();
  }
});
