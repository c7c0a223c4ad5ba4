#!/usr/bin/env bash
# Makes stand-ins for the images that docker-compose.multi.yml pulls, on a machine that reaches no registry of images; what is
# here already stays. The real Kafka of that version by its jars (Maven); the real Prometheus of that version by its sources
# where there is Go, without its pages and cloud discoveries, else Debian's; and in the place of Grafana, which cannot be had so,
# a program that only answers the health check. For tests; everybody else pulls.
#
# usage: deploy/local-compose-images.sh apache/kafka:4.2.0 prom/prometheus:v3.5.0 …       needs a Docker engine and Maven
set -euo pipefail
. "$(dirname "$0")/help.sh"
cd "$(dirname "$0")"
base="${NODE_IMAGE:-node:22-bookworm-slim}"
context="$(mktemp -d)"
trap 'rm -rf "$context"' EXIT
cp -r stand-ins/. "$context"
mkdir -p "$context/kafka/jars" "$context/prometheus"
# An engine without a bridge: what a build fetches, it fetches as this machine does.
network=()
docker network inspect bridge >/dev/null 2>&1 || network=(--network host)

# Its module is numbered otherwise: 3.5.0 is v0.305.0.
build_prometheus() {
	local major minor patch module
	IFS=. read -r major minor patch <<<"$1"
	module="github.com/prometheus/prometheus@$(printf 'v0.%d%02d.%d' "$major" "$minor" "$patch")"
	echo "stand-in: compiling Prometheus $1"
	export GOFLAGS=-modcacherw GOPATH="$context/go"
	cp -r --no-preserve=mode "$(go mod download -json "$module" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')" "$context/source"
	echo "package plugins" >"$context/source/plugins/plugins.go"
	(cd "$context/source" && CGO_ENABLED=0 go build -trimpath \
		-ldflags "-s -w -X github.com/prometheus/common/version.Version=$1" -o "$context/prometheus/prometheus" ./cmd/prometheus 2>"$context/go.log") \
		|| { tail -20 "$context/go.log" >&2; exit 1; }
	rm -rf "$context/source" "$context/go"
}

for image in "$@"; do
	target="${image%%:*}"
	target="${target##*/}"
	case "$target" in
		kafka)
			# The pom of `npm run kafka:up`, with the tools beside the broker: the health check is one of them.
			sed -e "s|<kafka.version>.*</kafka.version>|<kafka.version>${image##*:}</kafka.version>|" \
				-e 's|<dependencies>|&<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>${kafka.version}</version></dependency>|' \
				kafka/pom.xml >"$context/pom.xml"
			mvn -q -B -f "$context/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$context/kafka/jars"
			;;
		prometheus) if command -v go >/dev/null; then build_prometheus "${image##*:v}"; fi ;;
	esac
	echo "stand-in: building $image"
	docker build "${network[@]}" --build-arg "BASE=$base" --target "$target" -t "$image" "$context" >"$context/build.log" 2>&1 \
		|| { tail -40 "$context/build.log" >&2; exit 1; }
done
