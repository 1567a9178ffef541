"""The content types by which callers say that they speak gRPC or gRPC-Web; any other is REST.

They are exactly those that Envoy's filters take for gRPC. A type that only begins so ("application/grpcx",
"application/grpc; charset=utf-8") is JSON to its transcoder, and so it must be REST to all that is written
here: to the routes with the check of REST calls, to the errors and to the access log. The patterns are of the
kind that RE2 knows, and the whole header must match.
"""

from __future__ import annotations

GRPC = r"application/grpc(\+.*)?"
GRPC_WEB = r"application/grpc-web(\+proto)?"
GRPC_WEB_TEXT = r"application/grpc-web-text(\+proto)?"
# All of them: whoever sends none of these asks by REST.
NOT_REST = f"{GRPC}|{GRPC_WEB}|{GRPC_WEB_TEXT}"
