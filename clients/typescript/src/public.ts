// What both entry points export beside `connect`.

export type { Client } from "./client.js";
export type { Token } from "./connection.js";
export type { Services } from "./contracts/services.js";
// The interfaces of messages, by their area: scheduler.Schedule, monitor.Task.
export type * as access from "./contracts/access.js";
export type * as audit from "./contracts/audit.js";
export type * as embedder from "./contracts/embedder.js";
export type * as monitor from "./contracts/monitor.js";
export type * as operations from "./contracts/operations.js";
export type * as scheduler from "./contracts/scheduler.js";
export * from "./errors.js";
export type * from "./shapes.js";
export { untilEnded, type WaitOptions } from "./waiting.js";
