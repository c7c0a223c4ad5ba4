import { waitFor } from "@shardcast/testkit";
import { benchClients, type Subject, withEnds } from "../subject.ts";
import { startFlagged } from "./flagged-cluster.ts";
import { grown, readCounters } from "./kernel-counters.ts";
import { type KernelSettings, withSettings } from "./kernel-settings.ts";

/** Everybody connects at once, as after a restart or a network failure: what the kernel's queues of the listening socket do with it. */
export const stormConnections = 12_000;

export const stormFigures = {
	slowestMs: { unit: "ms", better: "lower", help: "from the first connect to the last client's open WebSocket" },
	connectsPerSecond: { unit: "1/s", better: "higher" },
	failedConnects: { unit: "clients", better: "lower", compared: false, help: "had no WebSocket after 15 s, or an error" },
	overflows: { unit: "", better: "lower", compared: false, help: "ListenOverflows: a connection was complete and the accept queue full" },
	cookies: { unit: "", better: "lower", compared: false, help: "SyncookiesSent: the queue was full, the kernel answered without an entry" },
	requestsDropped: { unit: "", better: "lower", compared: false, help: "TCPReqQFullDrop: the queue was full, the SYN was dropped" },
	retransmitted: { unit: "segments", better: "lower", compared: false, help: "RetransSegs: what was sent again, after 1 s, 3 s, …" },
} as const;
type Figure = keyof typeof stormFigures;

const giveUpMs = 15_000;

/** The settings are in force from before the cluster's start: the kernel reads the backlog's bound when a socket begins to listen. */
export function measureStorm(settings: KernelSettings): Promise<Record<Figure, number>> {
	return withSettings(settings, () =>
		withEnds(async (ends) => {
			const subject = await startFlagged({ flags: ["--max-connections", String(stormConnections + 100)] });
			ends.push(subject.stop);
			// A first storm warms both sides up; the ports are others then.
			await storm(subject);
			return storm(subject);
		}),
	);
}

async function storm({ target, servers }: Subject): Promise<Record<Figure, number>> {
	const generator = benchClients(target, stormConnections, { inFlight: stormConnections });
	try {
		const before = readCounters();
		const ramp = await generator.ramp(giveUpMs);
		const after = readCounters();
		return {
			slowestMs: ramp.seconds * 1000,
			connectsPerSecond: ramp.connectsPerSecond,
			failedConnects: stormConnections - ramp.opened,
			overflows: grown("TcpExt.ListenOverflows", before, after),
			cookies: grown("TcpExt.SyncookiesSent", before, after),
			requestsDropped: grown("TcpExt.TCPReqQFullDrop", before, after),
			retransmitted: grown("Tcp.RetransSegs", before, after),
		};
	} finally {
		await generator.close("reset");
		const none = async (): Promise<boolean> => (await servers.shardConnections()).every((shard) => shard.connections === 0);
		await waitFor(none, { deadlineMs: 10_000, what: "the cluster to count no connections", everyMs: 50 });
	}
}
