import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Machine } from "../../src/doctor/machine.ts";

/** The files of a machine that is as it should be, by path. */
const well: Readonly<Record<string, string>> = {
	"proc/sys/net/core/somaxconn": "4096\n",
	"proc/sys/net/ipv4/tcp_syncookies": "1\n",
	"proc/sys/net/ipv4/tcp_max_syn_backlog": "1024\n",
	"proc/sys/net/ipv4/tcp_wmem": "4096\t16384\t4194304\n",
	"proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
	"proc/sys/net/netfilter/nf_conntrack_max": "262144\n",
	"proc/sys/net/netfilter/nf_conntrack_count": "17\n",
	"proc/sys/fs/file-nr": "2112\t0\t9223372036854775807\n",
	"proc/net/netstat": "TcpExt: SyncookiesSent ListenOverflows TCPReqQFullDrop\nTcpExt: 5 0 0\nIpExt: InNoRoutes\nIpExt: 0\n",
	"proc/self/limits":
		"Limit                     Soft Limit           Hard Limit           Units\nMax open files            1048576              1048576              files\n",
	"proc/self/status": "Name:\tnode\nCpus_allowed_list:\t0-3\n",
	"proc/self/cgroup": "0::/\n",
	"sys/fs/cgroup/cgroup.controllers": "cpu\n",
	"sys/fs/cgroup/cpu.max": "max 100000\n",
	"sys/fs/cgroup/cpu.stat": "usage_usec 1\nnr_periods 0\nnr_throttled 0\n",
	"bin/taskset": "#!/bin/sh\n",
};

/** Writes a machine below `root`: one that is as it should be, but for these files; null = not there. */
export function fakeMachine(root: string, changes: Readonly<Record<string, string | null>> = {}, answers: Partial<Machine> = {}): Machine {
	for (const [path, text] of Object.entries({ ...well, ...changes })) {
		if (text === null) continue;
		const file = join(root, path);
		mkdirSync(dirname(file), { recursive: true });
		writeFileSync(file, text, { mode: 0o755 });
	}
	return {
		root,
		clock: () => ({ isSynchronised: true, errorMsMax: 1.5 }),
		nodeVersion: "22.11.0",
		memoryBytes: 8 * 1024 ** 3,
		path: join(root, "bin"),
		reachMs: 2000,
		...answers,
	};
}
