// The one live stream of this tab: the WebSocket of docs/websocket.md.

import { type DescMessage, fromJson, type JsonValue } from "@bufbuild/protobuf";
import type { Alert } from "@celeriac/client/contracts/monitor/v1/alerts";
import type { Metrics } from "@celeriac/client/contracts/monitor/v1/monitoring";
import type { Task } from "@celeriac/client/contracts/monitor/v1/tasks";
import { AlertSchema } from "@celeriac/client/stubs/celeriac/monitor/v1/alerts_pb";
import { MetricsSchema } from "@celeriac/client/stubs/celeriac/monitor/v1/monitoring_pb";
import { TaskSchema } from "@celeriac/client/stubs/celeriac/monitor/v1/tasks_pb";
import { valueOf } from "@celeriac/client/values";
import { session } from "./session.svelte";

const PATH = "/celery-admin/monitoring/ws";
// Figures come each second: without any for this long, what is shown is old.
export const STALE_MS = 5000;
// Pauses before the next attempt are random, so that not all browsers come back at once.
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 15_000;
// How many figures are kept for the small curves: two minutes.
const KEPT = 120;

export interface Point {
  readonly time: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly waiting: number;
}

type State = "off" | "connecting" | "live" | "broken";

class Live {
  state = $state<State>("off");
  /** When the last message came, in milliseconds since 1970; 0 for never. */
  heard = $state(0);
  metrics = $state.raw<Metrics | undefined>();
  points = $state.raw<readonly Point[]>([]);
  /** Alerts that fire, by name. */
  alerts = $state.raw<ReadonlyMap<string, Alert>>(new Map());
  /** Changes where events are missing: what was listed has to be listed anew. */
  epoch = $state(0);
  private socket: WebSocket | undefined;
  private cursor = "";
  private failures = 0;
  private pause: ReturnType<typeof setTimeout> | undefined;
  private readonly listeners = new Set<(tasks: readonly Task[]) => void>();

  start(): void {
    if (this.state === "off") {
      this.open();
    }
  }

  stop(): void {
    clearTimeout(this.pause);
    const socket = this.socket;
    this.socket = undefined;
    this.state = "off";
    this.cursor = "";
    socket?.close();
  }

  /** Calls `listener` with tasks that changed, until what is returned is called. */
  onTasks(listener: (tasks: readonly Task[]) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private open(): void {
    this.state = this.failures ? "broken" : "connecting";
    const query = this.cursor && `?cursor=${encodeURIComponent(this.cursor)}`;
    const socket = new WebSocket(`wss://${location.host}${PATH}${query}`, "celeriac.v1");
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      if (socket === this.socket) {
        this.hear(JSON.parse(String(data)));
      }
    };
    socket.onclose = ({ code }) => {
      if (socket === this.socket) {
        this.lose(code);
      }
    };
  }

  private hear(message: { type: string; data?: JsonValue; cursor?: string }): void {
    this.heard = Date.now();
    if (message.cursor) {
      this.cursor = message.cursor;
    }
    const data = message.data ?? {};
    switch (message.type) {
      case "hello":
        this.greet(data as { cursor?: string; resumed?: boolean });
        break;
      case "metrics":
        this.measure(read<Metrics>(MetricsSchema, data));
        break;
      case "tasks": {
        const { tasks } = data as { tasks: JsonValue[] };
        const read_ = tasks.map((each) => read<Task>(TaskSchema, each));
        for (const listener of this.listeners) {
          listener(read_);
        }
        break;
      }
      case "alert": {
        const alert = read<Alert>(AlertSchema, data);
        const next = new Map(this.alerts);
        if (alert.state === "FIRING") {
          next.set(alert.name, alert);
        } else {
          next.delete(alert.name);
        }
        this.alerts = next;
        break;
      }
      case "skipped":
        this.epoch += 1;
        break;
      case "error":
        this.state = "broken";
        break;
    }
  }

  private greet(hello: { cursor?: string; resumed?: boolean }): void {
    const isFirst = this.epoch === 0 && this.cursor === "";
    this.cursor = hello.cursor ?? this.cursor;
    this.failures = 0;
    this.state = "live";
    if (!hello.resumed) {
      // Alerts that fire follow, each as a message of its own.
      this.alerts = new Map();
      if (!isFirst) {
        this.epoch += 1;
      }
    }
  }

  private measure(metrics: Metrics): void {
    this.metrics = metrics;
    const point = {
      time: metrics.time?.getTime() ?? Date.now(),
      succeeded: metrics.succeededPerSecond,
      failed: metrics.failedPerSecond,
      waiting: metrics.queues.reduce((sum, queue) => sum + queue.length, 0),
    };
    this.points = [...this.points.slice(-(KEPT - 1)), point];
  }

  private lose(code: number): void {
    this.socket = undefined;
    this.state = "broken";
    const longest = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(this.failures++, 10), LONGEST_PAUSE_MS);
    this.pause = setTimeout(async () => {
      // A handshake that was refused looks the same as no network: whether the sign-in is over is asked.
      if (code === 4401) {
        await session.act("renew");
      } else {
        await session.look();
      }
      if (session.isSignedIn && this.state === "broken") {
        this.open();
      }
    }, Math.random() * longest);
  }
}

function read<Value>(schema: DescMessage, json: JsonValue): Value {
  return valueOf(schema, fromJson(schema, json, { ignoreUnknownFields: true })) as Value;
}

export const live = new Live();
