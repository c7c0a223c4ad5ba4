import { join } from "node:path";
import { type Cluster, describeExit, freePorts, ManagedProcess, startCluster } from "@shardcast/testkit";
import { type GeneratorOptions, LoadGenerator } from "../../generator.ts";
import { Servers } from "../../servers.ts";
import { parseTarget, type Target } from "../../target.ts";

/** A server that a bench compares with others, in separate processes. */
export interface Subject {
	readonly target: Target;
	readonly servers: Servers;
	stop(): Promise<void>;
}

/** Shards in every bench: one per core of the machines that the targets are set for. */
export const benchShards = 2;

/** One uWebSockets.js process without anything of ours. */
export async function startBareServer(): Promise<Subject> {
	const port = await freePorts();
	const process = await ManagedProcess.start(join(import.meta.dirname, "bare-server.js"), [String(port)]);
	await process.waitForOutput(/listening on/, 10_000);
	const target = parseTarget(`ws://127.0.0.1:${port}`);
	return { target, servers: await Servers.find(target.httpUrl), stop: async () => void (await process.stop()) };
}

/** The cluster as users run it, with its default flags but for the mode and those given; also gives a shard's own port. */
export async function startBenchCluster(
	mode: "handoff" | "proxy",
	flags: readonly string[] = [],
	tls = false,
): Promise<Subject & { readonly cluster: Cluster }> {
	const cluster = await startCluster({ shards: benchShards, flags: ["--lb-mode", mode, ...flags], tls });
	const target = parseTarget(cluster.url);
	const servers = await Servers.find(target.httpUrl);
	// Without its supervisor, the cluster would seem to use less CPU than it does.
	if (servers.processes.length !== benchShards + 2)
		throw new Error(`found ${servers.processes.length} of ${benchShards + 2} processes of the cluster`);
	const stop = async (): Promise<void> => {
		const status = await cluster.stop();
		if (status.code !== 0) throw new Error(`the cluster ended with ${describeExit(status)}\n${cluster.log()}`);
	};
	return { target, servers, cluster, stop };
}

/** Broadcast clients for a bench, not yet connected. */
export function benchClients(
	target: Target,
	connections: number,
	others: Partial<Pick<GeneratorOptions, "senders" | "source" | "inFlight" | "addresses" | "channels">> = {},
): LoadGenerator {
	return new LoadGenerator({
		targets: [target],
		connections,
		senders: 1,
		channels: 0,
		source: "ws",
		receivers: 2,
		inFlight: 256,
		...others,
	});
}

/** Opens all connections. @throws unless every one opened: a bench on half the clients would flatter. */
export async function connectAll(generator: LoadGenerator, connections: number): Promise<number> {
	const ramp = await generator.ramp(60_000);
	if (ramp.opened !== connections) throw new Error(`${ramp.opened} of ${connections} connections opened: ${JSON.stringify(ramp.failures)}`);
	return ramp.connectsPerSecond;
}

/** Runs `work` and then every `end`, in reverse order, even when one of them fails. */
export async function withCleanup<T>(work: (ends: (() => Promise<void>)[]) => Promise<T>): Promise<T> {
	const ends: (() => Promise<void>)[] = [];
	try {
		return await work(ends);
	} finally {
		for (const end of ends.reverse()) await end().catch((error: unknown) => console.error(`while ending: ${(error as Error).message}`));
	}
}

/** Runs a bench as a program: on an error it prints the message and exits with status 1. */
export async function benchProgram(work: (ends: (() => Promise<void>)[]) => Promise<void>): Promise<void> {
	try {
		await withCleanup(work);
	} catch (error) {
		console.error(`bench: ${(error as Error).message}`);
		process.exitCode = 1;
	}
}
