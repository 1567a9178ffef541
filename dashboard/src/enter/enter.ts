// Redeems a one-time link. Its key is in the fragment, which no browser sends with a request: so it is in no log.

import "./enter.css";
import { languageOfReader, say, showLanguage } from "./language";

showLanguage(languageOfReader());
const key = location.hash.slice(1);
// Out of the address and of the history, before anything else.
history.replaceState(null, "", location.pathname);

function element(id: string): HTMLElement {
  return document.getElementById(id) as HTMLElement;
}

function refuse(english: string, chinese: string): void {
  element("waiting").hidden = true;
  say(element("reason"), english, chinese);
  element("refused").hidden = false;
}

// Somebody else's link would sign in somebody else unseen: who is signed in is asked before the link is used up.
async function begin(): Promise<void> {
  if (!key) {
    refuse("This address is not a whole link", "這不是完整的連結");
    return;
  }
  const answer = await fetch("/session").catch(() => null);
  const session = answer?.ok ? await answer.json() : { signed_in: false };
  if (!session.signed_in) {
    await enter();
    return;
  }
  say(element("already"), `You are signed in as ${session.subject}`, `目前登入者：${session.subject}`);
  element("waiting").hidden = true;
  element("question").hidden = false;
}

element("go-on").addEventListener("click", () => {
  element("question").hidden = true;
  element("waiting").hidden = false;
  void enter();
});

async function enter(): Promise<void> {
  let answer: Response;
  try {
    answer = await fetch("/session/enter", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ key }),
    });
  } catch {
    refuse("The system can’t be reached now", "目前無法連線到系統");
    return;
  }
  if (answer.ok) {
    location.replace("/");
  } else if (answer.status === 410) {
    refuse("This link was used, or is too old", "這個連結已使用過或已過期");
  } else {
    const told = await answer.json().catch(() => ({}));
    const message: string = told.message ?? `HTTP ${answer.status}`;
    refuse(message, message);
  }
}

void begin();
