// The client against a running system, through its gateway: CELERIAC_TARGET, CELERIAC_TOKEN and CELERIAC_CA say which.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  connect,
  DeadlineExceeded,
  InvalidArgument,
  NotFound,
  type scheduler,
  Unauthenticated,
  untilEnded,
} from "../src/node.js";

const HOURLY = "process-new-chat-vectors-hourly";
const client = connect();
after(() => {
  client.close();
});

async function created(name: string): Promise<scheduler.Schedule> {
  return client.schedules.create({
    schedule: {
      name,
      task: {
        taskName: "count",
        args: [7, "語音"],
        kwargs: { deep: true },
        queue: "elsewhere",
        expires: "90s",
      },
      timing: { crontab: { expression: "30 3 * * *" }, timeZone: "Asia/Taipei" },
      labels: { team: "typescript" },
    },
  });
}

test("a schedule is created, read, changed, paused and deleted", async () => {
  const made = await created("of-typescript");
  const read = await client.schedules.get("of-typescript");
  assert.deepEqual(read, made);
  assert.equal(read.id, "of-typescript");
  assert.deepEqual(read.task.args, [7, "語音"]);
  assert.equal(read.task.expires, 90_000);
  assert.equal(read.nextRunTime?.toISOString().slice(10), "T19:30:00.000Z");
  const changed = await client.schedules.update({
    schedule: { ...read, labels: { team: "rvt" } },
    updateMask: ["labels"],
  });
  assert.deepEqual(changed.labels, { team: "rvt" });
  const paused = await client.schedules.pause({ name: read.name, note: "a test" });
  assert.equal(paused.nextRunTime, undefined);
  await client.schedules.delete("of-typescript");
  await assert.rejects(client.schedules.get("of-typescript"), (error: unknown) => {
    assert(error instanceof NotFound);
    assert.equal(error.reason, "SCHEDULE_NOT_FOUND");
    assert.match(error.requestId, /^[0-9a-f-]{36}$/);
    assert.equal(error.method, "/celeriac.scheduler.v1.ScheduleService/GetSchedule");
    return true;
  });
});

test("a list has all pages, up to its limit", async () => {
  const all = await client.schedules.list().all();
  const some: string[] = [];
  for await (const schedule of client.schedules.list({}, { limit: 2 })) {
    some.push(schedule.id);
  }
  assert.deepEqual(
    some,
    all.slice(0, 2).map((each) => each.id),
  );
  assert(all.some((each) => each.id === HOURLY));
});

test("a refusal names the field", async () => {
  const wrong = { name: "wrong", task: { taskName: "x" }, timing: { crontab: { expression: "61 * * * *" } } };
  await assert.rejects(client.schedules.create({ schedule: wrong }), (error: unknown) => {
    assert(error instanceof InvalidArgument);
    assert.deepEqual(Object.keys(error.fields), ["schedule.timing.crontab.expression"]);
    return true;
  });
});

test("the token is asked of a function at each call, and a wrong one is refused", async () => {
  const tokens = [process.env.CELERIAC_TOKEN ?? "", "wrong"];
  const other = connect({ token: () => Promise.resolve(tokens.shift() ?? "") });
  await other.schedules.get(HOURLY);
  await assert.rejects(other.schedules.get(HOURLY), Unauthenticated);
  other.close();
});

test("a run that is triggered twice under one id is one run", async () => {
  const requestId = crypto.randomUUID();
  const first = await client.schedules.trigger({ name: HOURLY, requestId });
  const second = await client.schedules.trigger({ name: HOURLY, requestId });
  assert.equal(second.name, first.name);
  const ended = await untilEnded(client, second, { timeout: "60s" });
  assert.equal(ended.outcome, "SUCCEEDED");
  const operation = await client.operations.list({ kinds: ["rebuild_chat_vectors"] }).first();
  assert(operation !== undefined);
  assert.equal((await untilEnded(client, operation, { timeout: "60s" })).state, "DONE");
});

test("waiting ends in time, and what is waited for goes on", async () => {
  await created("of-no-worker");
  const run = await client.schedules.trigger("of-no-worker");
  await assert.rejects(untilEnded(client, run, { timeout: "300ms" }), DeadlineExceeded);
  await client.queues.purge({ name: "elsewhere", expectedLength: 1000, withoutUndo: true });
  await client.schedules.delete("of-no-worker");
});

test("a stream of messages is sent, and a mistake in it is told as it is", async () => {
  const messages = [1, 2].map((number) => ({
    name: `of-typescript-${number}`,
    conversation: "conversations/of-typescript",
    role: "USER" as const,
    text: `語音辨識 ${number}`,
    createTime: new Date("2026-12-01T03:30:00+08:00"),
  }));
  const answer = await client.messages.ingest([{ messages }]);
  assert.equal(answer.created + answer.changed + answer.unchanged, 2);
  const wrong = [{ messages: [{ name: 5 }] }] as never;
  await assert.rejects(client.messages.ingest(wrong), { name: "TypeError", message: /messages\[0\]\.name/ });
});

test("a watch tells what happens, and goes on from its cursor", async () => {
  const watch = client.schedules.watch();
  const events = watch[Symbol.asyncIterator]();
  // The first message is no event, so that a change may come before the stream is open: then it is made again. The
  // second event is asked for because the cursor is that of the last event that was finished.
  for (const _ of ["first", "second"]) {
    const next = events.next();
    let done = false;
    void next.then(() => (done = true));
    for (let attempt = 0; !done; attempt++) {
      await created(`watched-by-typescript-${attempt}`);
      await client.schedules.delete(`watched-by-typescript-${attempt}`);
      await Promise.race([next, new Promise((end) => setTimeout(end, 1000))]);
    }
    const { value: event } = await next;
    assert(event?.type === "schedule", JSON.stringify(event));
  }
  await events.return();
  assert.notEqual(watch.cursor, "");
  const again = client.schedules.watch({}, { cursor: watch.cursor, signal: AbortSignal.timeout(2000) });
  for await (const resumed of again) {
    assert.notEqual(resumed.type, "gap");
  }
});

test("texts become vectors", async () => {
  const answer = await client.embeddings.embed({ texts: ["語音辨識", "speech recognition"] });
  assert.equal(answer.vectors.byteLength, 2 * 4 * answer.dimension);
});
