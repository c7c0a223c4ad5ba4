import { runBench } from "../report.ts";
import { measureStalls, stallFigures, stallLoad } from "./buffers.ts";
import { conntrackFigures, measureConntrack, trackedConnections, trackedRate } from "./conntrack.ts";
import { withSettings } from "./kernel-settings.ts";
import { setLoopbackMtu } from "./namespace.ts";
import { measurePorts, portConnections, portFigures } from "./ports.ts";
import type { Section } from "./section.ts";
import { measureStorm, stormConnections, stormFigures } from "./storm.ts";

/** What settings of the kernel do. */

const loopbackMtu = 65_536;
const ethernetMtu = 1_500;
const maxBufferedBytes = 1_048_576;

async function stallWith(mtu: number, wmemBytes: number, kernelBytes: number): ReturnType<typeof measureStalls> {
	setLoopbackMtu(mtu);
	try {
		const settings = { "net.ipv4.tcp_wmem": `4096 16384 ${wmemBytes}` };
		return await withSettings(settings, () => measureStalls(maxBufferedBytes, kernelBytes));
	} finally {
		setLoopbackMtu(loopbackMtu);
	}
}

const cookies = "net.ipv4.tcp_syncookies";
const somaxconn = "net.core.somaxconn";
const synBacklog = "net.ipv4.tcp_max_syn_backlog";

export const kernelSections = {
	"send-buffers": {
		help: "tcp_wmem's third value: what the kernel holds of a stalled client, at the packet sizes of loopback and Ethernet",
		isolated: true,
		rounds: 2,
		run: (rounds) =>
			runBench({
				name: "tuning-send-buffers",
				rounds,
				figures: stallFigures,
				variants: {
					"4MiB, MTU 65536": () => stallWith(loopbackMtu, 4_194_304, 4_000_000),
					"256KiB, MTU 65536": () => stallWith(loopbackMtu, 262_144, 420_000),
					"16MiB, MTU 1500": () => stallWith(ethernetMtu, 16_777_216, 1_200_000),
					"4MiB, MTU 1500": () => stallWith(ethernetMtu, 4_194_304, 1_200_000),
					"1MiB, MTU 1500": () => stallWith(ethernetMtu, 1_048_576, 1_200_000),
					"256KiB, MTU 1500": () => stallWith(ethernetMtu, 262_144, 420_000),
				},
				setup: { ...stallLoad, maxBufferedBytes },
			}),
	},
	storm: {
		help: "somaxconn and tcp_max_syn_backlog: 12,000 clients that connect at once",
		isolated: true,
		rounds: 3,
		run: (rounds) =>
			runBench({
				name: "tuning-storm",
				rounds,
				figures: stormFigures,
				variants: {
					"somaxconn 4096": () => measureStorm({ [somaxconn]: "4096", [synBacklog]: "4096", [cookies]: "1" }),
					"somaxconn 128": () => measureStorm({ [somaxconn]: "128", [synBacklog]: "4096", [cookies]: "1" }),
					"tcp_max_syn_backlog 128": () => measureStorm({ [somaxconn]: "4096", [synBacklog]: "128", [cookies]: "1" }),
					"somaxconn 128, no cookies": () => measureStorm({ [somaxconn]: "128", [synBacklog]: "4096", [cookies]: "0" }),
					"tcp_max_syn_backlog 128, no cookies": () => measureStorm({ [somaxconn]: "4096", [synBacklog]: "128", [cookies]: "0" }),
				},
				baseline: "somaxconn 4096",
				setup: { connections: stormConnections },
			}),
	},
	ports: {
		help: "ip_local_port_range and the number of addresses that clients connect from",
		isolated: true,
		rounds: 3,
		run: (rounds) =>
			runBench({
				name: "tuning-ports",
				rounds,
				figures: portFigures,
				variants: {
					"1 address": () => measurePorts(1, "32768 60999"),
					"3 addresses": () => measurePorts(3, "32768 60999"),
					"12 addresses": () => measurePorts(12, "32768 60999"),
					"1 address, ports from 1024": () => measurePorts(1, "1024 65535"),
					"1 address, 12,500 ports": () => measurePorts(1, "32768 45267"),
				},
				baseline: "3 addresses",
				setup: { connections: portConnections },
			}),
	},
	conntrack: {
		help: "a firewall that tracks connections (needs iptables)",
		isolated: true,
		rounds: 5,
		run: (rounds) =>
			runBench({
				name: "tuning-conntrack",
				rounds,
				figures: conntrackFigures,
				variants: { untracked: () => measureConntrack(false), tracked: () => measureConntrack(true) },
				baseline: "untracked",
				setup: { connections: trackedConnections, messagesPerSecond: trackedRate },
			}),
	},
} satisfies Record<string, Section>;
