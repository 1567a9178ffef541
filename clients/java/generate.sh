#!/bin/sh
# Generates the Java stubs of all contracts: sh clients/java/generate.sh FOLDER
# Needs protoc on the PATH, and grpc's plugin for Java, which PLUGIN names (if unset: grpc_java_plugin on the PATH). The
# contracts import google/api/*.proto: GOOGLEAPIS is a folder that has them (pip install
# googleapis-common-protos==1.70.0 brings one); if unset, that of .venv.
set -eu
into=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/../../protos"
googleapis=${GOOGLEAPIS:-$(echo ../.venv/lib/python3*/site-packages)}
plugin=${PLUGIN:-$(command -v grpc_java_plugin)}

# shellcheck disable=SC2046 # one argument for each file
protoc -I . -I "$googleapis" \
  --java_out="$into" --plugin=protoc-gen-grpc-java="$plugin" --grpc-java_out="$into" \
  $(find celeriac -name '*.proto' | sort)
