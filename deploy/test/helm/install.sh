#!/usr/bin/env bash
# Builds helm and kubeconform, which test the Helm chart, into ~/.cache/shardcast-ci/helm. Needs Go 1.25 or later; without, it says so and
# does nothing. The first time costs more than five minutes of CPU time and 480 MB in Go's module cache; then nothing is left to do.
set -euo pipefail

helm=v3.22.0
kubeconform=v0.7.0
folder="${XDG_CACHE_HOME:-$HOME/.cache}/shardcast-ci/helm"
export PATH="$PATH:/usr/local/go/bin"

if [ "$(cat "$folder/versions" 2>/dev/null)" = "$helm $kubeconform" ]; then exit 0; fi
if ! command -v go >/dev/null; then
	echo "no Go here: helm and kubeconform are not built, and the tests of the Helm chart are skipped" >&2
	exit 0
fi
mkdir -p "$folder"
rm -f "$folder/versions"
export GOBIN="$folder" CGO_ENABLED=0 GOFLAGS="-modcacherw -trimpath" GOTOOLCHAIN=local
go install -ldflags "-s -w" "github.com/yannh/kubeconform/cmd/kubeconform@$kubeconform"
go install -ldflags "-s -w" "helm.sh/helm/v3/cmd/helm@$helm"
echo "$helm $kubeconform" >"$folder/versions"
