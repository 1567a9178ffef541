#!/bin/sh
# Generates the Go stubs of all contracts: sh clients/go/generate.sh FOLDER
# Needs protoc, protoc-gen-go and protoc-gen-go-grpc on the PATH. The contracts import google/api/*.proto: GOOGLEAPIS is
# a folder that has them (pip install googleapis-common-protos==1.70.0 brings one); if unset, that of .venv.
set -eu
into=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/../../protos"
googleapis=${GOOGLEAPIS:-$(echo ../.venv/lib/python3*/site-packages)}
module=celeriac.dev/client

files=$(find celeriac -name '*.proto' | sort)
# The contracts name no package of any language: this says which one each of them becomes.
packages=""
for file in $files; do
  folder=$(dirname "${file#celeriac/}")
  packages="$packages,M$file=$module/$folder;$(echo "$folder" | tr -d /)"
done
# shellcheck disable=SC2086 # one argument for each file
protoc -I . -I "$googleapis" \
  --go_out="$into" --go_opt="module=$module$packages" \
  --go-grpc_out="$into" --go-grpc_opt="module=$module$packages" \
  $files
