// Names of resources: "nightly" is enough for "schedules/nightly".

import { type DescField, type DescMessage, getOption, hasOption } from "@bufbuild/protobuf";
import { COLLECTIONS, COLLECTIONS_OF_PARENTS } from "./contracts/services.js";
import { FieldBehavior, field_behavior } from "./stubs/google/api/field_behavior_pb.js";
import { resource, resource_reference } from "./stubs/google/api/resource_pb.js";

/** Returns the `id` of a resource by its name: { id: "nightly" }; nothing for messages that are no resource. */
export function idOf(schema: DescMessage, name: string): { id?: string } {
  if (!hasOption(schema, resource)) {
    return {};
  }
  // Ids of tasks and workers may have slashes; names below another resource may not.
  const cut = name.startsWith("schedules/") ? name.lastIndexOf("/") : name.indexOf("/");
  return { id: name.slice(cut + 1) };
}

/** Returns the full name, where the field has the name of a resource; else the text as it is. */
export function fullName(field: DescField, given: string): string {
  const collection = collectionOf(field);
  return given === "" || given.startsWith(collection) ? given : collection + given;
}

export function hasBehavior(field: DescField, wanted: FieldBehavior): boolean {
  return getOption(field, field_behavior).includes(wanted);
}

function collectionOf(field: DescField): string {
  if (hasBehavior(field, FieldBehavior.IDENTIFIER)) {
    return COLLECTIONS[getOption(field.parent, resource).type] ?? "";
  }
  const reference = getOption(field, resource_reference);
  return (
    (reference.childType ? COLLECTIONS_OF_PARENTS[reference.childType] : COLLECTIONS[reference.type]) ?? ""
  );
}
