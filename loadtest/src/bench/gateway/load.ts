import { setTimeout as pause } from "node:timers/promises";
import { cpuMs, waitFor } from "@shardcast/testkit";
import { number, table } from "../../report/table.ts";
import { watchOtherCpu, watchStolenCpu } from "../support/other-cpu.ts";
import { otherCpuPercent, runBench, stolenPercent } from "../support/report.ts";
import type { Spread } from "../support/spread.ts";
import { GatewaySubject } from "./gateway-subject.ts";
import { backendCount, boundedPart, latencyOf, measureMs, type Part, type PartOptions, settleMs } from "./part.ts";
import { videoBytes } from "./peers/messages.ts";
import { startPeers } from "./peers/peer-process.ts";
import type { PeerLatency, PeersReport } from "./peers/peers.ts";
import { Placement } from "./placement.ts";

/** CONTROL frames per second, each there and back. */
const controlMost = 1_000;
/** Shares of `--rate`. The gateway uses all of its CPU for the last one, or almost. */
const shares = [0.1, 0.3, 0.6, 1, 2];

/** VIDEO and CONTROL per second that make so many messages: each VIDEO frame has its ACK, and each CONTROL frame its answer. */
function paceOf(messages: number): { readonly video: number; readonly control: number } {
	const control = Math.min(controlMost, messages / 10);
	return { video: messages / 2 - control, control };
}

async function run({ rounds, clients, rate }: PartOptions): Promise<void> {
	await boundedPart(rounds, async (ends) => {
		const placement = new Placement();
		ends.push(async () => placement.end());
		console.log(placement.about);
		const start = async (backends: number, measures: boolean) => {
			const started = await startPeers("frames", backends, ends);
			placement.peers(started.peers.pid, measures);
			return started;
		};
		// CONTROL is measured in a process that has little else to do: one that plays all clients would measure its own delays.
		const probe = await start(1, true);
		const others = await start(backendCount - 1, false);
		const gateway = await GatewaySubject.start([...probe.ports, ...others.ports], placement.gatewayStart);
		ends.push(() => gateway.stop());
		const both = [probe.peers, others.peers];
		ends.push(async () => void (await Promise.all(both.map((peers) => peers.call("close")))));
		const probeClients = Math.ceil(clients / backendCount);
		await probe.peers.call("open", { port: gateway.port, clients: probeClients });
		await others.peers.call("open", { port: gateway.port, clients: clients - probeClients });
		placement.peers(await probe.peers.call("openSplice"), true);
		for (const peers of both) await peers.call("know", { clients });

		const pace = async (messages: number): Promise<void> => {
			const { video, control } = paceOf(messages);
			await others.peers.call("pace", { video: (video * (backendCount - 1)) / backendCount, control: 0 });
			await probe.peers.call("pace", { video: video / backendCount, control });
		};
		const usedMs = () => [gateway.cpuMs(), ...both.map(({ pid }) => cpuMs(pid))];
		/** Waits until the gateway has read all that was sent: kernels keep some megabytes for each connection, which would be part of the next load. */
		const takenAll = async (): Promise<void> => {
			let before = -1;
			const isSame = async (): Promise<boolean> => {
				const { frames } = await gateway.health();
				const isSame = frames.from_backends === before;
				before = frames.from_backends;
				return isSame;
			};
			await waitFor(isSame, { deadlineMs: 30_000, everyMs: 200, what: "the gateway to read all VIDEO" });
		};
		const measure = async (messages: number) => {
			await pace(messages);
			await pause(settleMs);
			// What this process does takes CPU from the one that measures: it does nothing between the first answer of that one and its last.
			const [before, cpuBefore, waitedBefore, otherCpu, stolen, startedMs] = [
				await gateway.health(),
				usedMs(),
				gateway.waitedForCpuMs(),
				watchOtherCpu(),
				watchStolenCpu(),
				performance.now(),
			];
			await others.peers.call("begin");
			await probe.peers.call("begin");
			await pause(measureMs);
			const probed = await probe.peers.call("end");
			const [after, cpuAfter, seconds] = [await gateway.health(), usedMs(), (performance.now() - startedMs) / 1000];
			const used = cpuAfter.map((ms, index) => ms - cpuBefore[index]!);
			const waitedMs = gateway.waitedForCpuMs() - waitedBefore;
			const [otherPercent, stolenPercent] = [otherCpu(used.reduce((sum, ms) => sum + ms, 0)), stolen()];
			const rest = await others.peers.call("end");
			await pace(0);
			const cameIn = (health: typeof after) => health.frames.from_backends + health.frames.from_clients;
			const frames = cameIn(after) - cameIn(before);
			const inside = { count: after.latency.count - before.latency.count, seconds: after.latency.seconds - before.latency.seconds };
			const [gatewayMs, probeMs] = used;
			const fromBackends = after.frames.from_backends - before.frames.from_backends;
			// This was not counted as frames from backends.
			const withoutBuffer = after.dropped.no_buffer! - before.dropped.no_buffer!;
			const skipped = withoutBuffer + after.dropped.video_to_client! - before.dropped.video_to_client!;
			await takenAll();
			return {
				messagesPerSecond: frames / seconds,
				cpuUsPerMessage: (gatewayMs! * 1000) / frames,
				gatewayCpuPercent: gatewayMs! / seconds / 10,
				...latencies(probed, "toBackend"),
				...latencies(probed, "toClient"),
				...latencies(probed, "roundTrip"),
				...latencies(probed, "splice"),
				insideMeanMs: (inside.seconds * 1000) / inside.count,
				videoP99Ms: latencyOf("VIDEO", [probed.latencies.video, rest.latencies.video]).p99Ms,
				videoSkippedPercent: (skipped / (fromBackends + withoutBuffer)) * 100,
				gatewayWaitedPercent: waitedMs / seconds / 10,
				probeCpuPercent: probeMs! / seconds / 10,
				otherCpuPercent: otherPercent,
				stolenPercent,
			};
		};
		const loads = shares.map((share) => Math.round(rate * share));
		// The gateway's writes would have to wake up a CPU that sleeps. In a virtual machine such a write took up to 3 ms of the gateway's time instead of 0.03.
		if (placement.mustPoll) await others.peers.call("stayAwake");
		const [full, most] = [`${rate}/s`, `${loads.at(-1)}/s`];
		const { summary } = await runBench({
			name: "gateway-load",
			rounds,
			// V8's compiler has the gateway's CPU for up to 4 ms at a time, and is busy until all loads have been there.
			warmups: 1,
			figures: {
				messagesPerSecond: { unit: "messages/s", better: "higher", help: "frames that came in, from clients and from backends" },
				cpuUsPerMessage: { unit: "µs", better: "lower", help: "CPU of the gateway" },
				gatewayCpuPercent: { unit: "% of a core", better: "lower" },
				...latencyFigures("toBackend"),
				...latencyFigures("toClient"),
				...latencyFigures("roundTrip"),
				...latencyFigures("splice"),
				insideMeanMs: { unit: "ms", better: "lower", help: "mean time that a frame to a client, of any class, was in the gateway" },
				videoP99Ms: { unit: "ms", better: "lower", help: "VIDEO, from the backend's write to the client's read" },
				videoSkippedPercent: { unit: "%", better: "lower", help: "VIDEO that was read and not passed on: too much of it waited" },
				gatewayWaitedPercent: {
					unit: "% of the time",
					better: "lower",
					compared: false,
					help: "its main thread was ready and had no CPU: another program or thread had it, or it had just been woken; much above 1 % at full load, such waits make the p99 (0 = not counted)",
				},
				probeCpuPercent: {
					unit: "% of a core",
					better: "lower",
					compared: false,
					help: "the process that measures; near 100 it measures itself",
				},
				otherCpuPercent,
				stolenPercent,
			},
			variants: Object.fromEntries(loads.map((load) => [`${load}/s`, () => measure(load)])),
			targets: [
				{ variant: full, figure: "messagesPerSecond", atLeast: rate * 0.98 },
				{ variant: full, figure: "videoP99Ms", atMost: 100 },
				...[full, most].flatMap((variant) => [
					{ variant, figure: "toBackendP99Ms", atMost: 1 } as const,
					{ variant, figure: "toClientP99Ms", atMost: 1 } as const,
				]),
			],
			setup: { placement: placement.about, clients, backends: backendCount, videoBytes, controlPerSecond: 2 * paceOf(rate).control },
		});
		console.log(`\n${latencyTable(summary)}`);
		console.log(
			"The last line of each load is what a round trip takes without a gateway: the share of the measuring process, of its waits for a CPU, and of the kernel.",
		);
	});
}

const percentileNames = { P50Ms: "p50", P99Ms: "p99", P999Ms: "p99.9" } as const;
type Percentile = keyof typeof percentileNames;
const percentiles = Object.keys(percentileNames) as Percentile[];

/** What is measured of CONTROL, for people. */
const controlLatencies = {
	toBackend: "CONTROL, client to backend",
	toClient: "CONTROL, backend to client",
	roundTrip: "CONTROL and its answer",
	splice: "the same through an empty splice: the floor",
} as const satisfies Partial<Record<PeerLatency, string>>;
type ControlLatency = keyof typeof controlLatencies;

function latencies<Name extends ControlLatency>(report: PeersReport, name: Name): Record<`${Name}${Percentile}`, number> {
	const { p50Ms, p99Ms, p999Ms } = latencyOf(controlLatencies[name], [report.latencies[name]]);
	return { [`${name}P50Ms`]: p50Ms, [`${name}P99Ms`]: p99Ms, [`${name}P999Ms`]: p999Ms } as Record<`${Name}${Percentile}`, number>;
}

function latencyFigures<Name extends ControlLatency>(name: Name) {
	const figure = (percentile: Percentile) =>
		({ unit: "ms", better: "lower", title: `${controlLatencies[name]}, ${percentileNames[percentile]} (ms)`, shown: false }) as const;
	const all = Object.fromEntries(percentiles.map((percentile) => [`${name}${percentile}`, figure(percentile)]));
	return all as Record<`${Name}${Percentile}`, ReturnType<typeof figure>>;
}

/** One line for each load and latency, with the medians of its percentiles over the rounds. */
function latencyTable(summary: Readonly<Record<string, Readonly<Record<`${ControlLatency}${Percentile}`, Spread>>>>): string {
	const rows = Object.entries(summary).flatMap(([load, figures]) =>
		(Object.keys(controlLatencies) as ControlLatency[]).map((name) => [
			load,
			controlLatencies[name],
			...percentiles.map((percentile) => number(figures[`${name}${percentile}`].median)),
		]),
	);
	return table(["load", "latency (ms)", ...Object.values(percentileNames)], rows);
}

export const load: Part = { help: "a gateway with clients and backends, at five loads", rounds: 5, run };
