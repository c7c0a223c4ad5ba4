import { runBench } from "../support/report.ts";
import { measureStalls, stallFigures, stallLoad } from "./buffers.ts";
import { type Burst, burstFigures, measureBursts } from "./bursts.ts";
import type { FlaggedCluster } from "./flagged-cluster.ts";
import { compareKnobs } from "./knobs.ts";
import type { Section } from "./section.ts";

/** What the flags of `shardcast multi` do. */

const short = { connections: 1_000, bytes: 128 } as const;

const knobs: Readonly<Record<string, FlaggedCluster>> = {
	"--shards 2": {},
	"--shards 1": { shards: 1 },
	"--shards 4": { shards: 4 },
	"--flush-max 0": { flags: ["--flush-max", "0"] },
	"--flush-max 20ms": { flags: ["--flush-max", "20ms"] },
	"--batch 1": { flags: ["--batch", "1"] },
	"--batch 8": { flags: ["--batch", "8"] },
	"--batch 1024": { flags: ["--batch", "1024"] },
	"--ring 16 --max-payload 16KiB": { flags: ["--ring", "16", "--max-payload", "16KiB"] },
	"--lb-mode proxy": { flags: ["--lb-mode", "proxy"] },
};

function knobSection(rate: number): Section {
	return {
		help: `shards, flush, batch, ring, proxy at ${rate} messages/s to 1,000 clients`,
		rounds: 3,
		run: (rounds) => compareKnobs({ ...short, name: `tuning-knobs-${rate}`, rounds, rate, variants: knobs, baseline: "--shards 2" }),
	};
}

function pinningSection(name: string, help: string, neighbours: number): Section {
	const variants: Readonly<Record<string, FlaggedCluster>> = {
		pinned: {},
		"not pinned": { unpinned: true },
		"both on one CPU": { flags: ["--cpus", "0"] },
	};
	return {
		help,
		rounds: 5,
		run: (rounds) => compareKnobs({ ...short, name, rounds, rate: 300, neighbours, variants, baseline: "pinned" }),
	};
}

const rings: Readonly<Record<string, readonly string[]>> = {
	"--ring 16 --max-payload 16KiB": ["--ring", "16", "--max-payload", "16KiB"],
	"--ring 2048": [],
	"--ring 16384": ["--ring", "16384"],
};

function burstSection(name: string, help: string, burst: Omit<Burst, "flags">): Section {
	const variants = Object.fromEntries(Object.entries(rings).map(([ring, flags]) => [ring, () => measureBursts({ ...burst, flags })]));
	return {
		help,
		rounds: 3,
		run: (rounds) => runBench({ name, rounds, figures: burstFigures, variants, baseline: "--ring 2048", setup: { ...burst } }),
	};
}

/** Bytes that the kernel buffers for a local client with default options. */
const kernelBytes = 4_000_000;
const buffers: Readonly<Record<string, number>> = { "64KiB": 65_536, "256KiB": 262_144, "1MiB": 1_048_576, "4MiB": 4_194_304 };

export const flagSections = {
	"knobs-200": knobSection(200),
	"knobs-500": knobSection(500),
	pinning: pinningSection("tuning-pinning", "shards pinned, not pinned, both on one CPU", 0),
	"pinning-busy": pinningSection("tuning-pinning-busy", "the same beside a program that takes a CPU", 1),
	"ring-socket": burstSection("tuning-ring-socket", "the ring's size, bursts of 4 MB through one WebSocket", {
		source: "ws",
		messages: 1_000,
		bytes: 4_000,
		clients: 100,
	}),
	"ring-http": burstSection("tuning-ring-http", "the ring's size, 250 messages of 16 KB from as many HTTP publishers at once", {
		source: "http",
		messages: 250,
		bytes: 16_000,
		clients: 100,
	}),
	buffers: {
		help: "--max-buffered: how long a stall a client survives, and what it costs",
		rounds: 2,
		run: (rounds) =>
			runBench({
				name: "tuning-buffers",
				rounds,
				figures: stallFigures,
				variants: Object.fromEntries(Object.entries(buffers).map(([name, bytes]) => [name, () => measureStalls(bytes, kernelBytes)])),
				setup: stallLoad,
			}),
	},
} satisfies Record<string, Section>;
