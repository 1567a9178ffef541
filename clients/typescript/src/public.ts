// What both entry points export beside `connect`.

export type { Client } from "./client.js";
export type { Token } from "./connection.js";
export type { Services } from "./contracts/services.js";
export * from "./errors.js";
export type * from "./shapes.js";
