// The first page: who is signed in, and the state of the system.
import { followReader, say } from "/assets/language-8c544e5573b3.js";

const REFRESH_MS = 5000;
const HEALTH = {
  HEALTH_HEALTHY: ["All is well", "一切正常"],
  HEALTH_DEGRADED: ["It works, but not all is well", "系統可運作，但部分異常"],
  HEALTH_UNHEALTHY: ["Something does not work", "有元件無法運作"],
  HEALTH_UNSPECIFIED: ["Not known yet", "尚無資料"],
};
const PARTS = {
  scheduler: "排程器", embedder: "向量服務", monitor: "監看服務", audit: "稽核服務", door: "入口",
  database: "資料庫", broker: "訊息代理", workers: "worker", events: "事件",
};
const element = (id) => document.getElementById(id);
let session = { signed_in: false };
let renewal = 0;
// How often somebody acted: an answer asked for before an act is out of date after it.
let acts = 0;

followReader();
setInterval(() => { if (!document.hidden) { refresh(); } }, REFRESH_MS);
document.addEventListener("visibilitychange", () => { if (!document.hidden) { look(); } });

element("sign-out").addEventListener("click", () => act("/session/sign-out", {}));
element("step-up").addEventListener("submit", async (event) => {
  event.preventDefault();
  await act("/session/step-up", { code: element("code").value });
  element("code").value = "";
});
// Last: what is shown can be used.
await look();

async function look() {
  const before = acts;
  const answer = await fetch("/session").catch(() => null);
  const told = answer?.ok ? await answer.json() : null;
  if (told && acts === before) {
    show(told);
  }
  await refresh();
}

async function act(path, body) {
  acts += 1;
  element("fault").hidden = true;
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  }).catch(() => null);
  if (answer?.ok) {
    show(await answer.json());
  } else if (answer?.status === 401) {
    show({ signed_in: false });
  } else {
    const told = answer ? await answer.json().catch(() => ({})) : {};
    const message = told.message ?? "the system can’t be reached now";
    say(element("fault"), message, `操作未完成：${message}`);
  }
  await refresh();
}

function show(next) {
  session = next;
  element("signed-out").hidden = session.signed_in;
  element("signed-in").hidden = !session.signed_in;
  clearTimeout(renewal);
  if (!session.signed_in) {
    element("state").hidden = true;
    return;
  }
  element("who").textContent = session.subject;
  element("role").textContent = session.role;
  element("until").textContent = new Date(session.end_time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  element("step-up").hidden = session.role !== "admin" || session.second_factor;
  renewal = setTimeout(renew, Math.max(0, new Date(session.renew_time) - Date.now()));
}

// At half of the token's life, while somebody looks; a page that comes back to the front looks first.
function renew() {
  if (!document.hidden) {
    act("/session/renew", {});
  }
}

async function refresh() {
  if (!session.signed_in) {
    return;
  }
  const answer = await fetch("/celery-admin/system/status").catch(() => null);
  if (answer?.status === 401) {
    show({ signed_in: false });
    return;
  }
  if (!answer?.ok) {
    tell("HEALTH_UNHEALTHY", ["The state of the system can’t be had now", "目前無法取得系統狀態"]);
    element("parts").replaceChildren();
    return;
  }
  const status = await answer.json();
  tell(status.health, HEALTH[status.health] ?? HEALTH.HEALTH_UNSPECIFIED);
  element("version").textContent = status.version;
  element("parts").replaceChildren(...status.components.map(part));
}

function tell(health, words) {
  element("state").hidden = false;
  element("health").className = `dot ${health}`;
  say(element("health-words"), ...words);
}

function part(component) {
  const line = document.createElement("li");
  const dot = document.createElement("span");
  dot.className = `dot ${component.health}`;
  const name = document.createElement("span");
  say(name, component.component, PARTS[component.component] ?? component.component);
  const detail = document.createElement("span");
  detail.className = "what";
  detail.textContent = component.detail;
  line.append(dot, name, detail);
  return line;
}
