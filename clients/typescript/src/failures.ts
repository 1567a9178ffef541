// Errors of the transport as those of errors.ts, with what the service said in the status details.

import { Code, ConnectError } from "@connectrpc/connect";
import * as errors from "./errors.js";
import { lengthOf } from "./lengths.js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "./stubs/google/rpc/error_details_pb.js";

const CLASSES: Readonly<Record<Code, typeof errors.CeleriacError>> = {
  [Code.Canceled]: errors.Cancelled,
  [Code.Unknown]: errors.Unknown,
  [Code.InvalidArgument]: errors.InvalidArgument,
  [Code.DeadlineExceeded]: errors.DeadlineExceeded,
  [Code.NotFound]: errors.NotFound,
  [Code.AlreadyExists]: errors.AlreadyExists,
  [Code.PermissionDenied]: errors.PermissionDenied,
  [Code.ResourceExhausted]: errors.ResourceExhausted,
  [Code.FailedPrecondition]: errors.FailedPrecondition,
  [Code.Aborted]: errors.Aborted,
  [Code.OutOfRange]: errors.OutOfRange,
  [Code.Unimplemented]: errors.Unimplemented,
  [Code.Internal]: errors.Internal,
  [Code.Unavailable]: errors.Unavailable,
  [Code.DataLoss]: errors.DataLoss,
  [Code.Unauthenticated]: errors.Unauthenticated,
};
// Codes by which connect tells, among other things, of a connection that broke.
const BROKEN = new Set([Code.Canceled, Code.Unknown, Code.Aborted, Code.Internal, Code.DataLoss]);
// Codes after which it is open whether a call was carried out.
const CUT_OFF = new Set(["UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"]);
// Reasons of UNAVAILABLE that say that the call was not carried out.
const NOTHING_DONE = new Set(["LOCKED", "NOT_READY"]);
const UNREACHED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);
const UNTRUSTED = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** What a call was, for its error. */
export interface Called {
  /** "/celeriac.scheduler.v1.ScheduleService/PauseSchedule" */
  readonly path: string;
  readonly target: string;
  readonly changes: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Returns the error to throw. */
export function failure(cause: unknown, called: Called): errors.CeleriacError {
  const error = ConnectError.from(cause);
  const never = neverSent(error, called.target);
  const details = detailsOf(error);
  const made = CLASSES[codeOf(error, called.signal)];
  const told = never ?? (isNetworkError(error) ? wordsOf(error, called.target) : error.rawMessage);
  const code = new made(told).code;
  const unknown =
    called.changes && CUT_OFF.has(code) && never === undefined && !NOTHING_DONE.has(details.reason);
  return new made(told, details, called.path, unknown, cause);
}

/** Returns the code: UNAVAILABLE, too, for a connection that broke before the server's status had come. */
function codeOf(error: ConnectError, signal: AbortSignal | undefined): Code {
  const cutOff = isNetworkError(error) && BROKEN.has(error.code) && !signal?.aborted;
  return cutOff ? Code.Unavailable : error.code;
}

/** Whether the error is of the way to the server, and not the server's word. */
function isNetworkError(error: ConnectError): boolean {
  return !error.metadata.has("grpc-status");
}

function detailsOf(error: ConnectError): errors.Details {
  const [info] = error.findDetails(ErrorInfoSchema);
  const violations = error.findDetails(BadRequestSchema).flatMap((each) => each.fieldViolations);
  const retry = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return {
    reason: info?.reason ?? "",
    metadata: info?.metadata ?? {},
    fields: Object.fromEntries(violations.map((each) => [each.field, each.description])),
    requestId: error.findDetails(RequestInfoSchema)[0]?.requestId ?? error.metadata.get("x-request-id") ?? "",
    retryAfter: retry && lengthOf(retry),
  };
}

/** Returns a sentence if the request has certainly not left; undefined otherwise. */
function neverSent(error: ConnectError, target: string): string | undefined {
  const codes = codesOf(error);
  if (codes.some((code) => UNREACHED.has(code))) {
    return `nothing answers at ${target}; is it the gateway's address, and does the system run?`;
  }
  if (codes.some((code) => UNTRUSTED.has(code))) {
    return (
      `the certificate of ${target} is not signed by the authority in \`ca\`; ` +
      'give the file of the one that signed it: ca: ".celeriac/ca.pem", or CELERIAC_CA'
    );
  }
  if (codes.includes("ERR_TLS_CERT_ALTNAME_INVALID")) {
    return `the certificate of ${target} is for another host; connect by a name that it has`;
  }
  if (codes.some((code) => code === "EPROTO" || code === "ERR_SSL_WRONG_VERSION_NUMBER")) {
    return `${target} does not speak TLS; the gateway does, on the port that \`make status\` tells`;
  }
  return undefined;
}

function wordsOf(error: ConnectError, target: string): string {
  // What a browser says of every connection that fails, in order not to tell pages about networks.
  if (error.cause instanceof TypeError && codesOf(error).length === 0) {
    return `${target} can't be reached, or this browser does not trust its certificate`;
  }
  return error.rawMessage;
}

/** Returns the codes of Node's errors from which this one came: "ECONNREFUSED". */
function codesOf(error: unknown): string[] {
  const found: string[] = [];
  for (let each = error; each instanceof Error && found.length < 10; each = each.cause) {
    const { code } = each as { code?: unknown };
    if (typeof code === "string") {
      found.push(code);
    }
  }
  return found;
}
