import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, describeExit, startCluster } from "@shardcast/testkit";
import { LoadGenerator } from "./generator.ts";
import { type KafkaSubject, prepareKafka } from "./kafka-subject.ts";
import { machineFacts } from "./machine.ts";
import type { LoadTestOptions } from "./options.ts";
import type { ProgressView } from "./report/progress-view.ts";
import { generatorWarnings, type LoadTestResult, rampProblems, sendProblems } from "./report/result.ts";
import { Servers, spreadPercent } from "./servers.ts";
import { parseTarget, type Target } from "./target.ts";
import type { KafkaTarget } from "./thread/kafka-source.ts";

/**
 * The whole test: start (when asked), ramp, hold, send, stop. Fills `result` as it goes, so that an interrupted test can show
 * what it has. @throws what makes a test impossible (no server, no cluster); what a test *finds* is in `result.problems`.
 */
export async function runLoadTest(
	options: LoadTestOptions,
	view: ProgressView,
	result: LoadTestResult,
	signal: AbortSignal,
): Promise<void> {
	const { source, kafkaBrokers, kafkaTopic, channels } = options;
	const kafka = source === "kafka" ? await prepareKafka(kafkaBrokers, kafkaTopic, channels > 0) : null;
	try {
		await runWith(kafka, options, view, result, signal);
	} finally {
		await kafka?.stop();
	}
}

async function runWith(
	kafka: KafkaSubject | null,
	options: LoadTestOptions,
	view: ProgressView,
	result: LoadTestResult,
	signal: AbortSignal,
): Promise<void> {
	const cluster = options.start === null ? null : await startOwnCluster([...options.start, ...(kafka?.clusterFlags ?? [])]);
	try {
		const target = cluster === null ? options.target : ownTarget(cluster.url);
		await runOn({ ...options, target }, kafka?.target ?? null, view, result, signal);
	} finally {
		if (cluster !== null) {
			const status = await cluster.stop();
			// Ctrl-C also reaches the cluster, which would then get two signals and close its clients at once.
			if (status.code !== 0 && !signal.aborted) result.problems.push(`the cluster ended with ${describeExit(status)}\n${cluster.log()}`);
		}
	}
}

export function emptyResult(options: LoadTestOptions): LoadTestResult {
	return { machine: machineFacts(), options, warnings: [], problems: [] };
}

/** The certificate that it was started with is not checked. */
function ownTarget(url: string): Target {
	const target = parseTarget(url);
	return target.tls === null ? target : { ...target, tls: { ...target.tls, verify: false } };
}

async function startOwnCluster(flags: readonly string[]): Promise<Cluster> {
	const at = flags.indexOf("--shards");
	const tls = flags.includes("--tls-cert");
	if (at < 0) return startCluster({ flags, tls });
	return startCluster({ shards: Number(flags[at + 1]), flags: flags.toSpliced(at, 2), tls });
}

async function runOn(
	options: LoadTestOptions,
	kafka: KafkaTarget | null,
	view: ProgressView,
	result: LoadTestResult,
	signal: AbortSignal,
): Promise<void> {
	const { target, connections } = options;
	const servers = await Servers.find(target.httpUrl);
	const pssBytesBefore = servers.pssBytes();
	const generator = new LoadGenerator({ ...options, kafka });
	const interrupted = new Promise<never>((_, reject) => {
		signal.addEventListener("abort", () => reject(new Interrupted()), { once: true });
	});
	interrupted.catch(() => {}); // seen where it is raced
	try {
		const until = <T>(work: Promise<T>): Promise<T> => Promise.race([work, interrupted]);
		const opening = { name: "connect", total: connections, unit: "connections", done: () => generator.open };
		result.ramp = await view.during(opening, () => until(generator.ramp(options.rampMs)));
		result.problems.push(...rampProblems(result.ramp, connections));
		const shards = await servers.shardConnections();
		result.shards = { connections: shards, spreadPercent: spreadPercent(shards) };
		if (result.ramp.opened < connections) return;

		const holdCpuMs = servers.cpuMs();
		const holdMs = performance.now();
		await until(sleep(options.holdMs));
		const pssBytesAfter = servers.pssBytes();
		result.hold = {
			cpuPercent: ((servers.cpuMs() - holdCpuMs) / Math.max(1, performance.now() - holdMs)) * 100,
			pssBytesBefore,
			pssBytesAfter,
			pssBytesPerConnection: (pssBytesAfter - pssBytesBefore) / connections,
		};

		const planned = Math.max(1, Math.round((options.rate * options.durationMs) / 1000));
		const cpuBefore = servers.cpuMsByProcess();
		const sending = { name: "send", total: planned, unit: "messages", done: () => generator.sent };
		const { rate, bytes, durationMs, settleMs } = options;
		result.send = await view.during(sending, () =>
			until(
				generator.send({
					rate,
					bytes,
					durationMs,
					settleMs,
					onArrived: () => {
						const { usage, gone } = servers.usageSince(cpuBefore);
						result.servers = usage;
						result.problems.push(...gone.map(({ name, pid }) => `the server's ${name} (pid ${pid}) ended during the test`));
					},
				}),
			),
		);
		result.warnings.push(...generatorWarnings(result.send, result.machine.cores));
		result.problems.push(...sendProblems(result.send));
		const cpuMs = (result.servers ?? []).reduce((sum, server) => sum + server.cpuMs, 0);
		if (cpuMs > 0) result.cpuUsPerDelivery = (cpuMs * 1000) / result.send.deliveries;
	} catch (error) {
		if (!(error instanceof Interrupted)) throw error;
		result.interrupted = { open: generator.open, sent: generator.sent, received: generator.received };
	} finally {
		await generator.close(signal.aborted ? "reset" : "handshake");
	}
}

class Interrupted extends Error {}
