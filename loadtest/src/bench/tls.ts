import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpuMs, freePorts, Haproxy, makeCertificate, waitFor } from "@shardcast/testkit";
import type { LoadGenerator } from "../generator.ts";
import { parseTarget, type Target } from "../target.ts";
import { measureSend } from "./support/measured-send.ts";
import { roundsFrom, runBench } from "./support/report.ts";
import { benchClients, benchProgram, benchShards, connectAll, type Subject, startBenchCluster } from "./support/subject.ts";

/**
 * What TLS costs: handshakes in the shards against HAProxy in front of plain shards, full and resumed, and a delivery encrypted against plain.
 * Clients and servers share the machine, and a client's handshake costs more than the server's, so the CPU of the server processes says more
 * than the rate. ECDSA P-256, TLS 1.3.
 */
const connections = 1_000;
const deliveryClients = 500;
/** So slow that each message is one write on a busy machine as well: messages that leave together would make the slower way look cheaper. */
const load = { rate: 10, durationMs: 6_000, settleMs: 2_000 };

interface Way {
	readonly generator: LoadGenerator;
	readonly subject: Subject;
	/** CPU of everything between the client and the shard, and of the shards. */
	readonly cpuMs: () => number;
}

const rounds = roundsFrom(process.argv.slice(2), 5);

await benchProgram(async (ends) => {
	const folder = mkdtempSync(join(tmpdir(), "bench-tls-"));
	ends.push(async () => rmSync(folder, { recursive: true }));
	const { certFile, keyFile } = makeCertificate(folder, { name: "bench" });
	const both = join(folder, "both.pem");
	writeFileSync(both, readFileSync(certFile, "utf8") + readFileSync(keyFile, "utf8"));

	const secure = await startBenchCluster("handoff", ["--tls-cert", certFile, "--tls-key", keyFile], true);
	ends.push(secure.stop);
	const plain = await startBenchCluster("handoff");
	ends.push(plain.stop);
	const port = await freePorts();
	const haproxy = await Haproxy.start([{ port, to: plain.target.port, server: "", bind: `ssl crt ${both}`, lines: ["mode http"] }]);
	ends.push(() => haproxy.stop());

	const insecure = (target: Target, resumes: boolean): Target => ({ ...target, tls: { verify: false, ca: null, resumes } });
	const way = (target: Target, subject: Subject, clients: number, others = () => 0): Way => {
		const generator = benchClients(target, clients, { inFlight: 64 });
		ends.push(() => generator.close("reset"));
		return { generator, subject, cpuMs: () => subject.servers.cpuMs() + others() };
	};
	const inFront = parseTarget(`wss://127.0.0.1:${port}`);
	const haproxyMs = () => cpuMs(haproxy.pid);
	const ways = {
		plain: way(plain.target, plain, connections),
		haproxyFull: way(insecure(inFront, false), plain, connections, haproxyMs),
		shardsFull: way(insecure(secure.target, false), secure, connections),
		haproxyResumed: way(insecure(inFront, true), plain, connections, haproxyMs),
		shardsResumed: way(insecure(secure.target, true), secure, connections),
	};
	const connectFigures = {
		connectsPerSecond: { unit: "connections/s", better: "higher" },
		cpuUsPerConnect: { unit: "µs", better: "lower", help: "CPU of all server processes, and of HAProxy, per WebSocket opened" },
	} as const;
	await runBench({
		name: "tls-connect",
		rounds,
		warmups: 1,
		figures: connectFigures,
		baseline: "haproxyFull",
		variants: {
			plain: () => open(ways.plain),
			haproxyFull: () => open(ways.haproxyFull),
			shardsFull: () => open(ways.shardsFull),
			haproxyResumed: () => open(ways.haproxyResumed),
			shardsResumed: () => open(ways.shardsResumed),
		},
		setup: { connections, inFlight: 64, shards: benchShards, key: "P-256" },
	});

	const deliveries = {
		plain: way(plain.target, plain, deliveryClients),
		haproxy: way(insecure(inFront, false), plain, deliveryClients, haproxyMs),
		shards: way(insecure(secure.target, false), secure, deliveryClients),
	};
	await runBench({
		name: "tls-delivery",
		rounds,
		warmups: 1,
		figures: {
			cpuUsPerDelivery: { unit: "µs", better: "lower", help: "CPU of all server processes, and of HAProxy, per message and client" },
		},
		baseline: "plain",
		variants: {
			plain: () => deliver(deliveries.plain),
			haproxy: () => deliver(deliveries.haproxy),
			shards: () => deliver(deliveries.shards),
		},
		setup: { clients: deliveryClients, rate: load.rate, shards: benchShards },
	});
});

/** Opens and closes all connections; the next round begins when the cluster has forgotten them. */
async function open({ generator, subject, cpuMs }: Way): Promise<{ connectsPerSecond: number; cpuUsPerConnect: number }> {
	const before = cpuMs();
	const connectsPerSecond = await connectAll(generator, connections);
	const cpuUsPerConnect = ((cpuMs() - before) * 1000) / connections;
	await disconnect(generator, subject);
	return { connectsPerSecond, cpuUsPerConnect };
}

async function deliver({ generator, subject, cpuMs }: Way): Promise<{ cpuUsPerDelivery: number }> {
	// Two of the ways lead to the same shards, where everybody gets everything.
	await connectAll(generator, deliveryClients);
	const before = cpuMs();
	const { send } = await measureSend(subject, generator, load);
	const cpuUsPerDelivery = ((cpuMs() - before) * 1000) / send.deliveries;
	await disconnect(generator, subject);
	return { cpuUsPerDelivery };
}

async function disconnect(generator: LoadGenerator, subject: Subject): Promise<void> {
	await generator.disconnect("reset");
	// With TLS the question itself is a connection.
	const few = async (): Promise<boolean> => (await subject.servers.shardConnections()).every((shard) => shard.connections <= 1);
	await waitFor(few, { deadlineMs: 10_000, what: "the cluster to count no connections", everyMs: 50 });
}
