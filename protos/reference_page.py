"""One page of the reference of the contracts: a package, from its services to its enums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)

from protos.described import Contracts
from protos.markdown import anchor, in_cell, table, text

MARK = "<!-- Written by protos/reference.py. To change it, edit the contracts and run `make protos`. -->"
PROTOBUF = "https://protobuf.dev/reference/protobuf/google.protobuf"
GOOGLEAPIS = "https://github.com/googleapis/googleapis/blob/master"
UNARY_SECONDS = 15
# google.api.FieldBehavior.
BEHAVIOURS = {
    1: "optional",
    2: "required",
    3: "output only",
    4: "input only",
    5: "immutable",
    8: "identifier",
}


def page_name(package: str) -> str:
    return f"{package}.md"


def services_in(files: Iterable[FileDescriptor]) -> Iterator[ServiceDescriptor]:
    for file in files:
        yield from file.services_by_name.values()


def method_row(
    contracts: Contracts, method: MethodDescriptor, title: str, package: str = ""
) -> tuple[str, str, str]:
    page = page_name(package) if package else ""
    paths = [f"`{each.verb} {each.path}`" for each in contracts.bindings(method)]
    link = f"[{title}]({page}#{anchor(full_title(method))})"
    return link, "<br>".join(paths) or "gRPC only", _roles(contracts, method)


def _roles(contracts: Contracts, method: MethodDescriptor) -> str:
    policy = contracts.policy(method)
    if policy.public:
        return "none"
    return ", ".join(contracts.role(number) for number in (policy.least_role, *policy.also))


class Page:
    """The page of one package."""

    def __init__(self, contracts: Contracts, package: str, files: Sequence[FileDescriptor]) -> None:
        self._contracts = contracts
        self._package = package
        self._files = files
        # Requests and responses are described at their method, the others under a heading of their own.
        self._methods: dict[str, MethodDescriptor] = {}
        # Where a name in a comment leads to. A name of this package comes before the same one of another.
        self._addresses: dict[str, str] = {}
        for file in sorted(contracts.files, key=lambda each: each.package == package):
            self._know(file)

    def _know(self, file: FileDescriptor) -> None:
        for service in file.services_by_name.values():
            self._addresses[service.name] = self._address(file, service.name)
            for method in service.methods:
                address = self._address(file, full_title(method))
                self._addresses |= {method.name: address, full_title(method): address}
                for message in (method.input_type, method.output_type):
                    self._methods[message.full_name] = method
                    self._addresses[message.name] = address
        for named in (*file.message_types_by_name.values(), *file.enum_types_by_name.values()):
            self._addresses.setdefault(named.name, self._address(file, named.name))

    def _address(self, file: FileDescriptor, heading: str) -> str:
        page = "" if file.package == self._package else page_name(file.package)
        return f"{page}#{anchor(heading)}"

    def _linked(self, name: str) -> str:
        return self._addresses.get(name, "")

    def lines(self) -> Iterator[str]:
        yield from (MARK, "", f"# {self._package}", "")
        for file in self._files:
            yield from (self._text(self._contracts.comment(file)), "")
        services = list(services_in(self._files))
        if services:
            links = ", ".join(f"[{service.name}](#{anchor(service.name)})" for service in services)
            yield from (f"Services: {links}. All packages: [reference](README.md).", "")
        for service in services:
            yield from self._service(service)
        messages = [each for each in self._messages() if each.full_name not in self._methods]
        if messages:
            yield from ("## Messages", "")
        for message in messages:
            yield from (f"### {_title(message)}", "", *self._content(message))
        enums = [enum for file in self._files for enum in file.enum_types_by_name.values()]
        enums += [enum for message in self._messages() for enum in message.enum_types]
        if enums:
            yield from ("## Enums", "")
        for enum in enums:
            yield from self._enum(enum)
        yield from self._options()

    def _messages(self) -> Iterator[Descriptor]:
        return (message for message in self._contracts.messages() if message.file in self._files)

    def _service(self, service: ServiceDescriptor) -> Iterator[str]:
        yield from (f"## {service.name}", "", self._text(self._contracts.comment(service)), "")
        rows = [method_row(self._contracts, method, method.name) for method in service.methods]
        yield from (*table(("method", "REST", "role"), rows), "")
        for method in service.methods:
            yield from self._method(method)

    def _method(self, method: MethodDescriptor) -> Iterator[str]:
        yield from (f"### {full_title(method)}", "", self._text(self._contracts.comment(method)), "")
        yield f"- gRPC: `{method.containing_service.full_name}/{method.name}`"
        for binding in self._contracts.bindings(method):
            body = f", with `{binding.body}` as its body" if binding.body not in {"", "*"} else ""
            yield f"- REST: `{binding.verb} {binding.path}`{body}"
        yield from (f"- {rule}" for rule in self._rules(method))
        yield ""
        streamed = {True: "a stream of ", False: ""}
        yield from self._side("Request", streamed[method.client_streaming], method.input_type)
        yield from self._side("Response", streamed[method.server_streaming], method.output_type)

    def _rules(self, method: MethodDescriptor) -> Iterator[str]:
        """Who may call the method, what is kept of the call, how long it may take."""
        policy = self._contracts.policy(method)
        least = self._contracts.role(policy.least_role)
        if policy.public:
            yield "Role: none, it is called without a token"
        elif least == "service":
            callers = f": {', '.join(policy.callers)}" if policy.callers else ""
            yield f"Role: a service or worker, known by its TLS certificate{callers}"
        else:
            others = "".join(f", or {self._contracts.role(number)}" for number in policy.also)
            factor = ", with a second factor that was given a short time ago" if policy.second_factor else ""
            yield f"Role: {least}{'' if least == 'super_admin' else ' or above'}{others}{factor}"
        if policy.audited:
            yield "Recorded in the audit log"
        streams = method.client_streaming or method.server_streaming
        seconds = policy.timeout_seconds or (0 if streams else UNARY_SECONDS)
        yield f"Time limit: {seconds} seconds" if seconds else "Time limit: none"

    def _side(self, side: str, streamed: str, message: Descriptor) -> Iterator[str]:
        without = "" if message.fields else ", which has no fields"
        yield from (f"**{side}**: {streamed}`{message.name}`{without}", "", *self._content(message))

    def _content(self, message: Descriptor) -> Iterator[str]:
        """What is said of a message, and its fields."""
        comment, resource = self._contracts.comment(message), self._contracts.resource(message)
        if comment:
            yield from (self._text(comment), "")
        if resource.type:
            patterns = ", ".join(f"`{pattern}`" for pattern in resource.pattern)
            yield from (f"A resource of the type `{resource.type}`. Its name is {patterns}.", "")
        if not message.fields:
            return
        rows = [self._row(field) for field in message.fields]
        heads = ("field", "type", "", "meaning")
        kept = [column for column in range(4) if column != 2 or any(row[2] for row in rows)]
        yield from table([heads[each] for each in kept], ([row[each] for each in kept] for row in rows))
        yield ""
        for oneof in message.oneofs:
            # A field that is `optional` is in a oneof of its own, which protoc made.
            if not oneof.name.startswith("_"):
                names = ", ".join(f"`{field.name}`" for field in oneof.fields)
                comment = self._text(self._contracts.comment(oneof))
                # A comment may say itself how many of them are set.
                counted = comment.startswith(("At most one ", "Exactly one "))
                lead = f"{names}:" if counted else f"At most one of {names} is set."
                yield from (f"{lead} {comment}".rstrip(), "")

    def _row(self, field: FieldDescriptor) -> tuple[str, str, str, str]:
        """Name, type, behaviour and meaning of a field."""
        option: Any = self._contracts.field_option(field, "google.api.field_behavior")
        behaviour = ", ".join(BEHAVIOURS[number] for number in option if number in BEHAVIOURS)
        meaning = [in_cell(self._contracts.comment(field), self._linked)]
        readable = self._contracts.field_option(field, "celeriac.access.v1.readable_from")
        if readable:
            role = self._contracts.role(readable)
            meaning.append(f'Only the role {role} and above reads it; others get "\\[redacted\\]".')
        if self._contracts.field_option(field, "celeriac.access.v1.sensitive"):
            meaning.append("Redacted in logs and in the audit log.")
        return f"`{field.name}`", self._type(field), behaviour, " ".join(meaning)

    def _type(self, field: FieldDescriptor) -> str:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields
            return f"map of {self._single(key)} to {self._single(value)}"
        single = self._single(field)
        return f"list of {single}" if self._contracts.repeated(field) else single

    def _single(self, field: FieldDescriptor) -> str:
        named = field.message_type or field.enum_type
        if named is not None:
            return f"[{_title(named)}]({self._address_of(named)})"
        reference = self._contracts.field_option(field, "google.api.resource_reference")
        resource = self._contracts.resources.get(reference.type or reference.child_type)
        if resource is not None:
            what = "name" if reference.type else "parent"
            return f"string, {what} of [{_title(resource)}]({self._address_of(resource)})"
        return _SCALARS[field.type]

    def _address_of(self, named: Descriptor | EnumDescriptor) -> str:
        package = named.file.package
        if package == "google.protobuf":
            return f"{PROTOBUF}/#{named.name.lower()}"
        if not package.startswith("celeriac."):
            return f"{GOOGLEAPIS}/{named.file.name}"
        method = self._methods.get(named.full_name)
        return self._address(named.file, _title(named) if method is None else full_title(method))

    def _enum(self, enum: EnumDescriptor) -> Iterator[str]:
        yield from (f"### {_title(enum)}", "", self._text(self._contracts.comment(enum)), "")
        rows = []
        for value in enum.values:
            comment = self._contracts.value_comment(enum, value.name)
            meaning = in_cell(comment, self._linked) or ("" if value.number else "Not set.")
            rows.append((f"`{value.name}`", str(value.number), meaning))
        yield from (*table(("value", "number", "meaning"), rows), "")

    def _options(self) -> Iterator[str]:
        """The options that a package defines for methods and fields."""
        found = [each for file in self._files for each in file.extensions_by_name.values()]
        if found:
            rows = []
            for option in found:
                name, kind, _, meaning = self._row(option)
                rows.append((name, option.containing_type.name, kind, meaning))
            yield from ("## Options", "", *table(("option", "of", "type", "meaning"), rows), "")

    def _text(self, comment: str) -> str:
        return text(comment, self._linked)


def _title(named: Descriptor | EnumDescriptor) -> str:
    """The name within its package: "Discrepancy", or "Outer.Inner"."""
    return str(named.full_name).removeprefix(f"{named.file.package}.")


def full_title(method: MethodDescriptor) -> str:
    return f"{method.containing_service.name}.{method.name}"


_SCALARS = {
    number: name.removeprefix("TYPE_").lower()
    for name, number in vars(FieldDescriptor).items()
    if name.startswith("TYPE_") and isinstance(number, int)
}
