import { spawnSync } from "node:child_process";
import { connect, type Socket } from "node:net";
import { openDescriptors } from "@shardcast/testkit";
import type { FaultKind } from "../fault.ts";

const names = ["shard 0", "shard 1", "balancer", "supervisor"];
const comers = 40;

function prlimit(...args: string[]): string {
	const { status, stdout, stderr, error } = spawnSync("prlimit", args, { encoding: "utf8" });
	if (status !== 0) throw new Error(`prlimit ${args.join(" ")}: ${error?.message ?? stderr.trim()}`);
	return stdout.trim();
}

export const noDescriptors: FaultKind = {
	name: "no-descriptors",
	help: "a process can open no more files or sockets for 0.5 or 2 s, while 40 clients come (prlimit)",
	isShort: true,
	draw(random, isShort) {
		const target = random.below(names.length);
		return { target, forMs: isShort ? 500 : 2_000, seed: 0, story: names[target]! };
	},
	lacks: () => (spawnSync("prlimit", ["--version"]).error === undefined ? null : "prlimit is not installed (util-linux)"),
	async inject(rig, { target, forMs }) {
		const pid = (await rig.pids()).get(names[target]!)!;
		const of = ["--pid", String(pid)];
		const soft = prlimit(...of, "--nofile", "--raw", "--noheadings", "--output=SOFT");
		const coming: Socket[] = [];
		prlimit(...of, `--nofile=${openDescriptors(pid)}:`);
		try {
			const { hostname, port } = new URL(rig.subject.cluster.httpUrl);
			for (let each = 0; each < comers; each++) {
				const socket = connect(Number(port), hostname);
				// Refused or closed is right as well.
				socket.on("error", () => {});
				socket.write(
					"GET / HTTP/1.1\r\nHost: faults\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
				);
				coming.push(socket);
			}
			await rig.wait(forMs);
		} finally {
			try {
				prlimit(...of, `--nofile=${soft}:`);
			} catch {
				// The process has ended meanwhile.
			}
			for (const socket of coming) socket.destroy();
		}
	},
};
