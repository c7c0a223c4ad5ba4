import { Scrape } from "@shardcast/testkit";
import type { LoadGenerator } from "../../generator.ts";
import { spreadOf } from "../support/spread.ts";
import { benchClients, connectAll, type Subject, withCleanup } from "../support/subject.ts";
import { startClusterWithFlags } from "./flagged-cluster.ts";

/** The effect of the ring's size on bursts of messages, from one WebSocket or from many HTTP publishers. */
export interface Burst {
	readonly source: "ws" | "http";
	readonly messages: number;
	readonly bytes: number;
	readonly clients: number;
	readonly flags: readonly string[];
}

export const burstFigures = {
	tookMs: { unit: "ms", better: "lower", help: "from the first message to the last delivery of a burst" },
	p99Ms: { unit: "ms", better: "lower", help: "over all deliveries of a burst" },
	ringFull: {
		unit: "times",
		better: "lower",
		compared: false,
		help: "messages of a burst that found the ring full (shardcast_bus_backpressured_total)",
	},
	refused: {
		unit: "messages",
		better: "lower",
		compared: false,
		help: "of a burst, answered with 429; what a WebSocket sends is held instead",
	},
} as const;
type Figure = keyof typeof burstFigures;

const bursts = 7;
/** All of a burst is due as soon as it begins. */
const rate = 1_000_000;
const settleMs = 1_000;

/** The medians of some bursts on one cluster, after one that warms it up. */
export function measureBursts(burst: Burst): Promise<Record<Figure, number>> {
	return withCleanup(async (ends) => {
		const subject = await startClusterWithFlags({ flags: burst.flags });
		ends.push(subject.stop);
		const senders = burst.source === "http" ? burst.messages : 1;
		const generator = benchClients(subject.target, burst.clients, { source: burst.source, senders });
		ends.push(() => generator.close("reset"));
		await connectAll(generator, burst.clients);
		// Every publisher has its connection from here on.
		await generator.send({ rate: 1_000, bytes: burst.bytes, durationMs: burst.messages, settleMs });
		const all: Record<Figure, number>[] = [];
		for (let index = -1; index < bursts; index++) {
			const one = await send(subject, generator, burst);
			if (index >= 0) all.push(one);
		}
		const median = (figure: Figure): number => spreadOf(all.map((one) => one[figure])).median;
		return { tookMs: median("tookMs"), p99Ms: median("p99Ms"), ringFull: median("ringFull"), refused: median("refused") };
	});
}

/** @throws when a message was lost that had not been refused. */
async function send(subject: Subject, generator: LoadGenerator, { messages, bytes }: Burst): Promise<Record<Figure, number>> {
	const fullBefore = await ringFull(subject);
	const before = await generator.send({ rate: 100, bytes, durationMs: 10, settleMs });
	const sent = await generator.send({ rate, bytes, durationMs: (messages * 1000) / rate, settleMs });
	const refused = count(sent.refusals);
	const { lost, duplicated, reordered, unexpected } = sent.delivery;
	const closed = count(sent.brokenOff);
	if (lost !== refused * (sent.expected / sent.sent) || duplicated + reordered + unexpected + closed > 0)
		throw new Error(`${lost} lost with ${refused} refused, ${duplicated} doubled, ${reordered} out of order, ${closed} clients closed`);
	return {
		tookMs: sent.seconds * 1000,
		p99Ms: sent.latency.p99Ms,
		ringFull: (await ringFull(subject)) - fullBefore,
		refused: refused - count(before.refusals),
	};
}

async function ringFull({ target }: Subject): Promise<number> {
	return (await Scrape.of(target.httpUrl)).sum("shardcast_bus_backpressured_total");
}

function count(kinds: Readonly<Record<string, number>>): number {
	return Object.values(kinds).reduce((sum, each) => sum + each, 0);
}
