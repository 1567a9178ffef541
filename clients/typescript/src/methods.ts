// What the contract says of a method: how long it may take, and whether it may be sent again.

import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { policy as policyOption, Role } from "./stubs/celeriac/access/v1/policy_pb.js";
import type { Milliseconds } from "./shapes.js";

// The gateway's limit of a unary method whose policy names none (celeriac.access.v1.Policy).
const UNARY_SECONDS = 15;

export interface Rules {
  /** "/celeriac.scheduler.v1.ScheduleService/TriggerSchedule" */
  readonly path: string;
  /** The longest that a call may take; undefined for a stream without a limit. */
  readonly deadline: Milliseconds | undefined;
  /** Whether it changes something. */
  readonly changes: boolean;
  /** Whether its change is made once for each request_id, however often it is sent. */
  readonly hasRequestId: boolean;
}

export function rulesOf(method: DescMethod): Rules {
  const policy = getOption(method, policyOption);
  const seconds = policy.timeoutSeconds || (method.methodKind === "unary" ? UNARY_SECONDS : 0);
  const changes = policy.audited || policy.leastRole === Role.SERVICE;
  // Of a client stream each message may have one: that says nothing of the stream as a whole.
  const isOne = method.methodKind === "unary" || method.methodKind === "server_streaming";
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    deadline: seconds ? seconds * 1000 : undefined,
    changes,
    hasRequestId: policy.audited && isOne && "requestId" in method.input.field,
  };
}
