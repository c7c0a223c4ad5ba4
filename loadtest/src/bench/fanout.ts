import type { LoadGenerator } from "../generator.ts";
import { messageBytes as bytes, measureSend } from "./support/measured-send.ts";
import { otherCpuPercent, roundsFrom, runBench, type Target } from "./support/report.ts";
import {
	benchClients,
	benchProgram,
	benchShards,
	connectAll,
	type Subject,
	startBareServer,
	startBenchCluster,
	withCleanup,
} from "./support/subject.ts";

/**
 * What a delivery costs: CPU of all server processes, two shards behind the balancer, against one bare uWebSockets.js process
 * that publishes each message as it comes; same clients, same load. All servers run and stay connected throughout and are
 * loaded in turn; the idle ones cost next to nothing, which the idle bench shows.
 */
const durationMs = 4_000;

interface Load {
	readonly connections: number;
	readonly rate: number;
	readonly targets: readonly Target<Figure, "handoff">[];
}

const loads: readonly Load[] = [
	{ connections: 5_000, rate: 20, targets: [{ variant: "handoff", figure: "cpuUsPerDelivery", ratioAtMost: 1.1 }] },
	{
		connections: 1_000,
		rate: 500,
		targets: [
			{ variant: "handoff", figure: "cpuUsPerDelivery", ratioAtMost: 0.75 },
			{ variant: "handoff", figure: "p99Ms", ratioAtMost: 1 },
		],
	},
];

const figures = {
	cpuUsPerDelivery: {
		unit: "µs",
		better: "lower",
		help: "CPU of all server processes (supervisor, balancer, shards) per message received by a client",
	},
	p50Ms: { unit: "ms", better: "lower" },
	p99Ms: {
		unit: "ms",
		better: "lower",
		help: "from the sender's write to the receiver's read, on the machine that servers and clients share",
	},
	clientBusyPercent: {
		unit: "%",
		better: "lower",
		compared: false,
		help: "busiest thread of the load generator: above 90 the latencies are its own",
	},
	otherCpuPercent,
} as const;
type Figure = keyof typeof figures;

/** Sends the load once and measures what it cost. @throws when a message was lost, doubled or out of order. */
async function measure(subject: Subject, generator: LoadGenerator, rate: number): Promise<Record<Figure, number>> {
	const { send, cpuMs, otherCpuPercent } = await measureSend(subject, generator, { rate, durationMs, settleMs: 5_000 });
	return {
		cpuUsPerDelivery: (cpuMs * 1000) / send.deliveries,
		p50Ms: send.latency.p50Ms,
		p99Ms: send.latency.p99Ms,
		clientBusyPercent: Math.max(...send.threads.map(({ utilization }) => utilization)) * 100,
		otherCpuPercent,
	};
}

/** Connects the same clients to each server, loads one after the other, round by round. */
function compare(
	subjects: Readonly<Record<"bare" | "handoff" | "proxy", Subject>>,
	{ connections, rate, targets }: Load,
): Promise<unknown> {
	return withCleanup(async (ends) => {
		const clientsOf = async (subject: Subject): Promise<() => Promise<Record<Figure, number>>> => {
			const generator = benchClients(subject.target, connections);
			ends.push(() => generator.close("reset"));
			await connectAll(generator, connections);
			return () => measure(subject, generator, rate);
		};
		return runBench({
			name: `fanout-${rate}x${connections}`,
			rounds,
			warmups: 1,
			figures,
			baseline: "bare",
			variants: {
				bare: await clientsOf(subjects.bare),
				handoff: await clientsOf(subjects.handoff),
				proxy: await clientsOf(subjects.proxy),
			},
			targets,
			setup: { connections, messagesPerSecond: rate, deliveriesPerSecond: rate * (connections - 1), bytes, shards: benchShards },
		});
	});
}

const rounds = roundsFrom(process.argv.slice(2), 5);

await benchProgram(async (ends) => {
	const started = async (starting: Promise<Subject>): Promise<Subject> => {
		const subject = await starting;
		ends.push(subject.stop);
		return subject;
	};
	const subjects = {
		bare: await started(startBareServer()),
		handoff: await started(startBenchCluster("handoff")),
		proxy: await started(startBenchCluster("proxy")),
	};
	for (const load of loads) {
		await compare(subjects, load);
		console.log("");
	}
});
