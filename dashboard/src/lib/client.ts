// The client of this system, and what the contracts say of its methods.

import { getOption, type DescMethod } from "@bufbuild/protobuf";
import { SERVICES } from "@celeriac/client/contracts/services";
import { policy, Role } from "@celeriac/client/stubs/celeriac/access/v1/policy_pb";
import { connect } from "@celeriac/client/web";
import { session } from "./session.svelte";

export const client = connect();

/** A method as the client has it: "queues.pause". */
export type MethodName = {
  [S in keyof typeof SERVICES]: `${S}.${keyof (typeof SERVICES)[S] & string}`;
}[keyof typeof SERVICES];

/** Why the reader may not call a method now: which role it takes, or that a second factor is to be given first. */
export type Barrier = { readonly role: string } | { readonly secondFactor: true };

const RANKS: Readonly<Record<string, Role>> = {
  viewer: Role.VIEWER,
  admin: Role.ADMIN,
  super_admin: Role.SUPER_ADMIN,
};
const NAMES: Readonly<Record<number, string>> = {
  [Role.VIEWER]: "viewer",
  [Role.ADMIN]: "admin",
  [Role.SUPER_ADMIN]: "super_admin",
};

/** Reads the policy of the method's contract; undefined if nothing stands in the way. */
export function barrierOf(name: MethodName): Barrier | undefined {
  const [service, method] = name.split(".") as [keyof typeof SERVICES, string];
  const row = (SERVICES[service] as Readonly<Record<string, { method: DescMethod }>>)[method];
  if (row === undefined) {
    throw new TypeError(`the client has no method ${name}`);
  }
  const { leastRole, secondFactor } = getOption(row.method, policy);
  const { role = "", second_factor: given = false } = session.now ?? {};
  // With a second factor an admin acts as a super_admin.
  const rank = role === "admin" && given ? Role.SUPER_ADMIN : (RANKS[role] ?? Role.UNSPECIFIED);
  if (rank < leastRole) {
    const canStepUp = role === "admin" && leastRole === Role.SUPER_ADMIN;
    return canStepUp ? { secondFactor: true } : { role: NAMES[leastRole] ?? "" };
  }
  return secondFactor && !given ? { secondFactor: true } : undefined;
}

/** Returns the last part of a resource's name: "orders" of "queues/orders". */
export function idOf(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** Returns what follows the collection: names of queues and ids of tasks may have slashes themselves. */
export function restOf(name: string): string {
  return name.slice(name.indexOf("/") + 1);
}
