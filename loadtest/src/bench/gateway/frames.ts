import { runBench } from "../support/report.ts";
import { framesFor, type Passing, PlainCopy, payloadBytes, pieceBytes, ToBackend, ToClients } from "./frame-path.ts";
import type { Part, PartOptions } from "./part.ts";

/**
 * What the gateway's own code costs per frame, without sockets, in one thread: from the bytes that TCP delivers to the message that a
 * WebSocket sends, and back. The baseline copies the same bytes without looking at them. Each way of passing checks that
 * every frame has left.
 */
const clients = 64;
/** Half a second each on a machine that does nothing else. */
const counts = { copy: 80_000_000, toClients: 3_000_000, toBackend: 4_000_000, broadcast: 6_000_000 };
/** How often the heap is looked at: what a collection takes away in between is missed. */
const framesPerLook = 50_000;

/** Frames that leave: a broadcast counts once for each client. */
function measure(passing: Passing, bytes: Buffer, count: number) {
	const startMs = performance.now();
	const startCpu = process.cpuUsage();
	let heapBytes = 0;
	let frames = 0;
	let looked = 0;
	let heapBefore = process.memoryUsage().heapUsed;
	while (frames < count) {
		frames += passing.pass(bytes);
		if (frames - looked < framesPerLook) continue;
		looked = frames;
		const heapNow = process.memoryUsage().heapUsed;
		heapBytes += Math.max(0, heapNow - heapBefore);
		heapBefore = heapNow;
	}
	const cpu = process.cpuUsage(startCpu);
	return {
		framesPerSecond: frames / ((performance.now() - startMs) / 1000),
		cpuNsPerFrame: ((cpu.user + cpu.system) * 1000) / frames,
		heapBytesPerFrame: heapBytes / frames,
	};
}

async function run({ rounds }: PartOptions): Promise<void> {
	const forEach = framesFor(clients, false);
	const forAll = framesFor(clients, true);
	await runBench({
		name: "gateway-frames",
		rounds,
		warmups: 1,
		figures: {
			framesPerSecond: { unit: "frames/s", better: "higher" },
			cpuNsPerFrame: { unit: "ns", better: "lower", help: "CPU of the whole process, garbage collection included" },
			heapBytesPerFrame: { unit: "bytes", better: "lower", compared: false, help: "growth of the heap, looked at every 50,000 frames" },
		},
		baseline: "copy",
		variants: {
			copy: () => measure(new PlainCopy(), forEach, counts.copy),
			toClients: () => measure(new ToClients(clients), forEach, counts.toClients),
			toBackend: () => measure(new ToBackend(), forEach, counts.toBackend),
			broadcast: () => measure(new ToClients(clients), forAll, counts.broadcast),
		},
		targets: [
			{ variant: "toClients", figure: "cpuNsPerFrame", atMost: 1000 },
			{ variant: "toBackend", figure: "cpuNsPerFrame", atMost: 1000 },
			{ variant: "toClients", figure: "heapBytesPerFrame", atMost: 1 },
			{ variant: "toBackend", figure: "heapBytesPerFrame", atMost: 1 },
			{ variant: "broadcast", figure: "heapBytesPerFrame", atMost: 1 },
		],
		setup: { payloadBytes, pieceBytes, clients },
	});
}

export const frames: Part = { help: "what the gateway's own code costs per frame, without sockets", rounds: 3, run };
