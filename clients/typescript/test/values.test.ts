// What a caller gives and reads, without a server.

import assert from "node:assert/strict";
import { test } from "node:test";
import { checkedTarget, checkedToken } from "../src/connection.js";
import { connect } from "../src/node.js";
import { messageOf } from "../src/requests.js";
import {
  CreateScheduleRequestSchema,
  ScheduleSchema,
} from "../src/stubs/celeriac/scheduler/v1/schedules_pb.js";
import { SetConfigRequestSchema } from "../src/stubs/celeriac/scheduler/v1/config_pb.js";
import { ListTasksRequestSchema } from "../src/stubs/celeriac/monitor/v1/tasks_pb.js";
import { SearchMessagesRequestSchema } from "../src/stubs/celeriac/embedder/v1/search_pb.js";
import { type Plain, valueOf } from "../src/values.js";

function there(given: Plain): Plain {
  return valueOf(ScheduleSchema, messageOf(ScheduleSchema, given)) as Plain;
}

test("what was given is read as it was given, with full names and an id", () => {
  const next = new Date("2026-12-01T03:30:00.250+08:00");
  const read = there({
    name: "nightly",
    task: { taskName: "reports.build", args: [7, "語音"], kwargs: { deep: true }, queue: "reports" },
    timing: { interval: { every: "90s" }, timeZone: "Asia/Taipei" },
    labels: { team: "rvt" },
    maxRuns: 5,
    nextRunTime: next,
  });
  assert.equal(read.id, "nightly");
  assert.equal(read.name, "schedules/nightly");
  assert.deepEqual(read.nextRunTime, next);
  assert.deepEqual((read.timing as Plain).interval, { every: 90_000 });
  assert.deepEqual((read.task as Plain).args, [7, "語音"]);
  assert.equal((read.task as Plain).queue, "queues/reports");
  assert.equal(read.maxRuns, 5);
  assert.equal(read.pauseTime, undefined);
  // And it can be sent again as it was read.
  assert.deepEqual(there(read), read);
});

test("numbers that JavaScript can't hold keep their digits while nobody changes them", () => {
  const text = '[9007199254740993, "a"]';
  const read = there({ task: { argsJson: text } }).task as Plain;
  assert.equal(read.argsJson, text);
  assert.equal((there({ task: read }).task as Plain).argsJson, text);
  assert.equal((there({ task: { ...read, args: [1] } }).task as Plain).argsJson, "[1]");
});

test("enums are names, vectors are numbers, and values of the configuration keep their type", () => {
  const tasks = messageOf(ListTasksRequestSchema, { states: ["FAILURE"], startTime: new Date(0) });
  assert.deepEqual((valueOf(ListTasksRequestSchema, tasks) as Plain).states, ["FAILURE"]);
  const found = messageOf(SearchMessagesRequestSchema, { vector: [1, -0.5] });
  assert.deepEqual(
    [...((valueOf(SearchMessagesRequestSchema, found) as Plain).vector as Uint8Array)],
    [0, 0, 128, 63, 0, 0, 0, 191],
  );
  for (const value of [true, 5, 0.5, "word", { duration: 30_000 }]) {
    const set = messageOf(SetConfigRequestSchema, { name: "monitor.tasks.retention", value });
    assert.deepEqual((valueOf(SetConfigRequestSchema, set) as Plain).value, value);
  }
});

test("what does not fit is refused with its place and what does", () => {
  const wrong: [Plain, RegExp][] = [
    [{ schedul: {} }, /schedul is not a field of CreateScheduleRequest; it has: schedule, /],
    [
      { schedule: "nightly" },
      /schedule is of the type string; it has to be an object with fields of Schedule/,
    ],
    [{ schedule: { nextRunTime: "2026-12-01" } }, /schedule\.nextRunTime has to be a valid Date: new Date\(/],
    [{ schedule: { maxRuns: 0.5 } }, /schedule\.maxRuns is 0\.5; it has to be a whole number/],
    [{ schedule: { name: 5 } }, /schedule\.name is of the type number; it has to be a string/],
    [{ schedule: { overlapPolicy: "NEVER" } }, /overlapPolicy can't be "NEVER"; it is one of: /],
    [{ schedule: { timing: { interval: { every: "1 hour" } } } }, /every is 1 hour; .* such as "30s"/],
    [{ schedule: { task: { args: () => 0 } } }, /schedule\.task\.args is of the type function/],
  ];
  for (const [given, told] of wrong) {
    assert.throws(() => messageOf(CreateScheduleRequestSchema, given), { name: "TypeError", message: told });
  }
});

test("a target, a token and an authority that can't be right get a sentence each", () => {
  assert.throws(() => checkedTarget("https://gw:8443/v1"), /is a URL; .* for example gw:8443/);
  assert.throws(() => checkedTarget("gw"), /"gw" is not host:port/);
  assert.throws(
    () => checkedToken("secret\n"),
    (error: Error) => /trim/.test(error.message) && !/secret/.test(error.message),
  );
  assert.throws(() => checkedToken("Bearer x"), /give the token alone/);
  assert.throws(() => checkedToken("a b"), /characters that no token has/);
  assert.throws(() => connect({ target: "gw:8443", ca: "/nowhere.pem" }), /can't be read: ENOENT/);
  assert.throws(() => connect({ target: "gw:8443", ca: "package.json" }), /has no certificate/);
});
