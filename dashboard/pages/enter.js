// Redeems a one-time link. Its key is in the fragment, which no browser sends with a request: so it is in no log.
import { followReader, say } from "/assets/language.js";

followReader();
const key = location.hash.slice(1);
// Out of the address and of the history, before anything else.
history.replaceState(null, "", location.pathname);

function refuse(english, chinese) {
  document.getElementById("waiting").hidden = true;
  say(document.getElementById("reason"), english, chinese);
  document.getElementById("refused").hidden = false;
}

// Somebody else's link would sign in somebody else unseen: who is signed in is asked before the link is used up.
async function begin() {
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
  say(document.getElementById("already"), `You are signed in as ${session.subject}`, `目前登入者：${session.subject}`);
  document.getElementById("waiting").hidden = true;
  document.getElementById("question").hidden = false;
}

document.getElementById("go-on").addEventListener("click", () => {
  document.getElementById("question").hidden = true;
  document.getElementById("waiting").hidden = false;
  enter();
});

async function enter() {
  let answer;
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
    refuse(told.message ?? `HTTP ${answer.status}`, told.message ?? `HTTP ${answer.status}`);
  }
}

begin();
