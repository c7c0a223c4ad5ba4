import { generateKeyPairSync, sign } from "node:crypto";
import { waitFor } from "@shardcast/testkit";
import { parseTarget, type Target } from "../target.ts";
import { measureSend } from "./support/measured-send.ts";
import { otherCpuPercent, roundsFrom, runBench } from "./support/report.ts";
import { benchClients, benchProgram, benchShards, connectAll, startBenchCluster } from "./support/subject.ts";

/**
 * Whether deliveries wait while 12,000 clients reconnect with tokens: clients that stay get 100 messages/s meanwhile. Compared with the same clients
 * without tokens.
 */
const connections = 12_000;
const listeners = 100;
const load = { rate: 100, settleMs: 5_000 };
/** About as long as the clients take. */
const durationMs = 8_000;

const rounds = roundsFrom(process.argv.slice(2), 3);
const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const signed = `${part({ alg: "RS256" })}.${part({ sub: "ann", info: { name: "Ann" } })}`;
const token = `${signed}.${sign("sha256", Buffer.from(signed), privateKey).toString("base64url")}`;

await benchProgram(async (ends) => {
	const pem = String(publicKey.export({ type: "spki", format: "pem" }));
	const flags = ["--max-connections", String(connections + listeners), "--no-require-auth", "--token-rsa-public-key", pem];
	const subject = await startBenchCluster("handoff", flags);
	ends.push(subject.stop);
	const { cluster, servers, target } = subject;
	const staying = benchClients(target, listeners, { channels: 1 });
	ends.push(() => staying.close("reset"));
	await connectAll(staying, listeners);
	const come = async (to: Target | null) => {
		const coming = to === null ? null : benchClients(to, connections);
		try {
			const ramp = coming === null ? 0 : connectAll(coming, connections);
			const [{ send, otherCpuPercent: others }, connectsPerSecond] = await Promise.all([
				measureSend(subject, staying, { ...load, durationMs }),
				ramp,
			]);
			return { p50Ms: send.latency.p50Ms, p99Ms: send.latency.p99Ms, connectsPerSecond, otherCpuPercent: others };
		} finally {
			await coming?.close("reset");
			const only = async (): Promise<boolean> =>
				(await servers.shardConnections()).reduce((sum, shard) => sum + shard.connections, 0) === listeners;
			await waitFor(only, { deadlineMs: 20_000, what: "the cluster to count those that stay only", everyMs: 50 });
		}
	};
	const quiet = `${cluster.url}/?channels=quiet`;
	await runBench({
		name: "tokens",
		rounds,
		figures: {
			p50Ms: { unit: "ms", better: "lower" },
			p99Ms: {
				unit: "ms",
				better: "lower",
				help: "from the sender's write to the receiver's read, for clients that stay, on the machine that all share",
			},
			connectsPerSecond: { unit: "/s", better: "higher" },
			otherCpuPercent,
		},
		baseline: "without",
		variants: {
			nobody: () => come(null),
			without: () => come(parseTarget(quiet)),
			rs256: () => come(parseTarget(`${quiet}&token=${token}`)),
		},
		targets: [{ variant: "rs256", figure: "p99Ms", ratioAtMost: 2 }],
		setup: { connections, listeners, messagesPerSecond: load.rate, shards: benchShards },
	});
});
