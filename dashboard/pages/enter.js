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

async function enter() {
  if (!key) {
    refuse("This address is not a whole link", "這不是完整的連結");
    return;
  }
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

enter();
