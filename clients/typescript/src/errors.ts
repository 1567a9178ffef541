// What a call throws. Each error has the code of gRPC as its class, and the reason that the service gives.
//
// docs/gateway.md lists the reasons. A mistake that is seen before anything is sent is a TypeError instead.

import type { Milliseconds } from "./shapes.js";

/** What the service said beside the message. */
export interface Details {
  /** Why, as a stable word: "SCHEDULE_NOT_FOUND"; "" if none was given. */
  readonly reason: string;
  /** What is wrong with each field of the request, by the field's path: {"schedule.timing.time_zone": "…"}. */
  readonly fields: Readonly<Record<string, string>>;
  /** The id under which the service's log and the audit log have this call; "" if it reached no service. */
  readonly requestId: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** How long to wait before another try, where the service said so. */
  readonly retryAfter: Milliseconds | undefined;
}

/** A call failed. `code` is gRPC's, such as "NOT_FOUND". */
export class CeleriacError extends Error implements Details {
  readonly code: string = "UNKNOWN";
  readonly reason: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly requestId: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfter: Milliseconds | undefined;

  constructor(
    /** What the service said, without the reason. */
    readonly told: string,
    details: Partial<Details> = {},
    /** "/celeriac.scheduler.v1.ScheduleService/PauseSchedule" */
    readonly method = "",
    /** The call changes something, and may have been carried out although no answer came. */
    readonly outcomeUnknown = false,
    cause?: unknown,
  ) {
    super(`${told}${outcomeUnknown ? "; it may have been carried out" : ""}`, { cause });
    this.name = new.target.name;
    this.reason = details.reason ?? "";
    this.fields = details.fields ?? {};
    this.requestId = details.requestId ?? "";
    this.metadata = details.metadata ?? {};
    this.retryAfter = details.retryAfter;
  }
}

export class Cancelled extends CeleriacError {
  override readonly code = "CANCELLED";
}

export class Unknown extends CeleriacError {
  override readonly code = "UNKNOWN";
}

/** The request is wrong, whatever the state of the system: see `fields`. */
export class InvalidArgument extends CeleriacError {
  override readonly code = "INVALID_ARGUMENT";
}

/** No answer came in time. */
export class DeadlineExceeded extends CeleriacError {
  override readonly code = "DEADLINE_EXCEEDED";
}

export class NotFound extends CeleriacError {
  override readonly code = "NOT_FOUND";
}

export class AlreadyExists extends CeleriacError {
  override readonly code = "ALREADY_EXISTS";
}

export class PermissionDenied extends CeleriacError {
  override readonly code = "PERMISSION_DENIED";
}

/** There is no room for the call now: see `retryAfter`. */
export class ResourceExhausted extends CeleriacError {
  override readonly code = "RESOURCE_EXHAUSTED";
}

/** The state of the system does not allow it: see `reason`. */
export class FailedPrecondition extends CeleriacError {
  override readonly code = "FAILED_PRECONDITION";
}

/** The resource was changed since it was read (ETAG_MISMATCH): read it again, and decide anew. */
export class Aborted extends CeleriacError {
  override readonly code = "ABORTED";
}

export class OutOfRange extends CeleriacError {
  override readonly code = "OUT_OF_RANGE";
}

/** The system has no such method: its release is older than this client. */
export class Unimplemented extends CeleriacError {
  override readonly code = "UNIMPLEMENTED";
}

export class Internal extends CeleriacError {
  override readonly code = "INTERNAL";
}

/** The gateway or a service can't be reached. */
export class Unavailable extends CeleriacError {
  override readonly code = "UNAVAILABLE";
}

export class DataLoss extends CeleriacError {
  override readonly code = "DATA_LOSS";
}

/** The token is missing, expired or not one of this system's. */
export class Unauthenticated extends CeleriacError {
  override readonly code = "UNAUTHENTICATED";
}
