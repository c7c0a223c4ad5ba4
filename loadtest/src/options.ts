import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseBytes, parseDuration } from "@shardcast/config";
import { openFilesLimit } from "@shardcast/process";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { type ProtocolKind, protocolKinds, withClusterFlags } from "./protocols/protocol-kinds.ts";
import { parseTarget, parseTargets, type Target } from "./target.ts";
import { type SourceKind, sourceKinds } from "./thread/source-kinds.ts";

const scenarios = ["broadcast", "channels"] as const;
type Scenario = (typeof scenarios)[number];

export interface LoadTestOptions {
	/** The nodes to load: at least one. */
	readonly targets: readonly Target[];
	/** Over all nodes. */
	readonly connections: number;
	readonly scenario: Scenario;
	readonly protocol: ProtocolKind;
	/** 0 = to everybody: the broadcast scenario, unless the protocol has channels only. */
	readonly channels: number;
	readonly senders: number;
	readonly source: SourceKind;
	/** Kafka source: brokers that run already; null = one of the test's own, which takes --start as well. */
	readonly kafkaBrokers: string | null;
	readonly kafkaTopic: string;
	readonly rate: number;
	readonly bytes: number;
	readonly durationMs: number;
	readonly holdMs: number;
	readonly settleMs: number;
	readonly rampMs: number;
	readonly inFlight: number;
	/** Threads that receive, or processes. */
	readonly receivers: number;
	/** More connections than one process may have open: each receiver is a process. */
	readonly receiversAreProcesses: boolean;
	/** Nodes of the test's own cluster, which share a Redis when there are several. */
	readonly startNodes: number;
	/** Flags of `shardcast multi` for a cluster of the test's own; null = load what runs at the target. */
	readonly start: readonly string[] | null;
	readonly jsonPath: string | null;
}

/** A command line that can not be run: `message` is for the user, 0 is for --help. */
export class UsageError extends Error {
	readonly exitStatus: 0 | 2;

	constructor(message: string, exitStatus: 0 | 2 = 2) {
		super(message);
		this.name = "UsageError";
		this.exitStatus = exitStatus;
	}
}

/** Descriptors that the load generator itself needs beside its connections. */
const descriptorsKept = 300;
const messageBytesMax = 1 << 20;
const receiversMax = 64;
const startNodesMax = 16;
const defaultUrl = "ws://127.0.0.1:3005";
const defaultTargets: readonly Target[] = [parseTarget(defaultUrl)];

function checked<T>(parse: (text: string) => T): (text: string) => T {
	return (text) => {
		try {
			return parse(text);
		} catch (error) {
			throw new InvalidArgumentError(`It ${(error as Error).message}.`);
		}
	};
}

function whole(min: number, max: number): (text: string) => number {
	return checked((text) => {
		const value = Number(text);
		if (!/^\d+$/.test(text) || value < min || value > max) throw new RangeError(`is not a whole number from ${min} to ${max}`);
		return value;
	});
}

const rate = checked((text) => {
	const value = Number(text);
	if (!(value > 0 && value <= 1_000_000)) throw new RangeError("is not a number of messages per second above 0, at most 1000000");
	return value;
});

/** Flags of `shardcast multi` that the load test gives its own cluster. */
const portFlags = ["--lb-addr", "--base-port"];

/** The cluster's flags. Its ports are found free by the load test, which waits there until it serves. */
const startFlags = checked((text) => {
	const words = text.split(/\s+/).filter((word) => word !== "");
	// "--shards=2" as "--shards", "2".
	const flags = words.flatMap((word) => /^(--[a-z-]+)=(.*)$/.exec(word)?.slice(1) ?? [word]);
	const port = flags.find((flag) => portFlags.includes(flag));
	if (port !== undefined)
		throw new RangeError(
			`has ${port}, but the load test finds free ports itself; leave it out, or start that cluster and name it with --url`,
		);
	return flags;
});

/** An option with a default, which the help shows as one would write it. */
function defaulted<T>(flags: string, description: string, parse: (text: string) => T, value: string): Option {
	return new Option(flags, description).argParser(parse).default(parse(value), value);
}

const sourceHelp = Object.entries(sourceKinds)
	.map(([kind, { help }]) => `${kind}: ${help}`)
	.join("; ");

const protocolHelp = Object.entries(protocolKinds)
	.map(([kind, { help }]) => `${kind}: ${help}`)
	.join("; ");

interface Flags {
	url: readonly Target[];
	insecure?: boolean;
	ca?: string;
	protocol: ProtocolKind;
	connections: number;
	scenario: Scenario;
	channelSize: number;
	senders?: number;
	source: SourceKind;
	kafkaBrokers?: string;
	kafkaTopic: string;
	rate: number;
	size: number;
	duration: number;
	hold: number;
	settle: number;
	rampTimeout: number;
	inFlight: number;
	threads: number;
	nodes: number;
	start?: string[];
	json?: string;
}

/** @throws UsageError with one line that names the flag and what to write instead. */
export function parseOptions(
	argv: readonly string[],
	descriptorsMax = openFilesLimit()?.soft ?? Number.POSITIVE_INFINITY,
): LoadTestOptions {
	let output = "";
	const duration = checked(parseDuration);
	const command = new Command("loadtest")
		.description(
			"Opens WebSockets to a cluster on this machine, sends messages and checks that every client gets each exactly once, in order.",
		)
		.addOption(
			new Option("--url <url>", "server to load, on this machine; several nodes as a list with commas, or repeat the flag")
				.argParser((text: string, before: readonly Target[]) =>
					checked((list: string) => parseTargets(list, before === defaultTargets ? [] : before))(text),
				)
				.default(defaultTargets, defaultUrl),
		)
		.option("--insecure", "for wss://: the server's certificate is not checked")
		.option("--ca <file>", "for wss://: certificate authority of the server's certificate, in PEM", checked(readCa))
		.addOption(
			new Option("--start <flags>", 'start a cluster with these flags of `shardcast multi` ("--shards 2"), load it, stop it')
				.argParser(startFlags)
				.conflicts("url"),
		)
		.addOption(
			defaulted("--nodes <n>", "with --start: nodes to start, which share a Redis of the test's own", whole(1, startNodesMax), "1"),
		)
		.addOption(defaulted("--connections <n>", "clients, over all nodes", whole(2, 1_000_000), "12000"))
		.addOption(
			new Option("--scenario <name>", "broadcast: each message to all; channels: each to the clients of one channel")
				.choices(scenarios)
				.default("broadcast"),
		)
		.addOption(defaulted("--channel-size <n>", "channels scenario: clients that get each message", whole(1, 100_000), "10"))
		.option("--senders <n>", "senders, which take turns (broadcast: 1, channels: one per channel)", whole(1, 100_000))
		.addOption(new Option("--source <kind>", sourceHelp).choices(Object.keys(sourceKinds)).default("ws"))
		.addOption(new Option("--protocol <kind>", protocolHelp).choices(Object.keys(protocolKinds)).default("raw"))
		.option(
			"--kafka-brokers <list>",
			"kafka source: brokers that the loaded cluster reads from; none = with --start, a broker of the test's own",
		)
		.option("--kafka-topic <name>", "kafka source: topic to produce to, read by the cluster with --kafka-format binary", "loadtest")
		.addOption(defaulted("--rate <n>", "messages per second, over all senders", rate, "5"))
		.addOption(defaulted("--size <bytes>", "payload of a message (128, 4KiB)", checked(parseBytes), "128"))
		.addOption(defaulted("--duration <time>", "how long to send", duration, "30s"))
		.addOption(defaulted("--hold <time>", "pause between opening and sending", duration, "2s"))
		.addOption(defaulted("--settle <time>", "how long to wait for missing messages while none arrives", duration, "5s"))
		.addOption(defaulted("--ramp-timeout <time>", "how long opening all connections may take", duration, "60s"))
		.addOption(defaulted("--in-flight <n>", "connections being opened at the same time", whole(1, 10_000), "256"))
		.addOption(defaulted("--threads <n>", "threads that receive", whole(1, receiversMax), String(Math.min(4, availableParallelism()))))
		.option("--json <file>", "write the result there as JSON")
		.allowExcessArguments(false)
		.exitOverride()
		.configureOutput({ writeOut: (text) => (output += text), writeErr: (text) => (output += text) });
	try {
		command.parse([...argv], { from: "user" });
	} catch (error) {
		if (!(error instanceof CommanderError)) throw error;
		throw new UsageError((output || error.message).trim(), error.exitCode === 0 ? 0 : 2);
	}
	return conclude(command.opts<Flags>(), descriptorsMax);
}

function readCa(path: string): string {
	try {
		return readFileSync(path, "utf8");
	} catch (error) {
		throw new RangeError(`can't be read (${(error as NodeJS.ErrnoException).code})`);
	}
}

/** The target with what the flags say of its certificate. */
function secured(target: Target, { insecure = false, ca }: Pick<Flags, "insecure" | "ca">, refuse: (problem: string) => never): Target {
	const { tls } = target;
	if (tls === null && (insecure || ca !== undefined)) refuse(`${insecure ? "--insecure" : "--ca"}: the URL has no certificate; use wss://`);
	return tls === null ? target : { ...target, tls: { ...tls, verify: !insecure, ca: ca ?? null } };
}

/** What no flag alone can tell. */
function conclude(flags: Flags, descriptorsMax: number): LoadTestOptions {
	const { connections, channelSize, protocol } = flags;
	const refuse = (problem: string): never => {
		throw new UsageError(`error: ${problem}`);
	};
	const channels =
		flags.scenario === "broadcast" ? Number(protocolKinds[protocol].needsChannel) : Math.floor(connections / (channelSize + 1));
	if (flags.scenario === "channels" && channels === 0)
		refuse(`--connections ${connections} fill no channel: at least ${channelSize + 1} are needed for --channel-size ${channelSize}`);
	const senders = flags.senders ?? Math.max(1, channels);
	const { bytesMin } = protocolKinds[protocol].create().payload;
	if (sourceKinds[flags.source].sendersListen && senders >= connections)
		refuse(`--senders ${senders} leaves no client that only receives; give fewer, or more --connections`);
	if (flags.size < bytesMin || flags.size > messageBytesMax)
		refuse(`--size ${flags.size}: a message has ${bytesMin} to ${messageBytesMax} bytes`);
	if (flags.source === "kafka" && flags.kafkaBrokers === undefined && flags.start === undefined)
		refuse("--source kafka: name the brokers of the loaded cluster with --kafka-brokers, or start a cluster with --start");
	if (flags.duration <= 0) refuse("--duration 0: nothing would be sent; give 1s or more");
	if (flags.nodes > 1 && flags.start === undefined)
		refuse(`--nodes ${flags.nodes}: give --start too, or name each running node with --url`);
	const senderClients = sourceKinds[flags.source].sendersListen ? senders : 0;
	const clientsMax = descriptorsMax - descriptorsKept;
	if (senderClients > clientsMax)
		refuse(`--senders ${senders}: one process may open ${descriptorsMax} files; raise the limit (ulimit -n) or give at most ${clientsMax}`);
	const receiversAreProcesses = connections > clientsMax;
	const receivers = receiversAreProcesses ? Math.max(flags.threads, Math.ceil((connections - senderClients) / clientsMax)) : flags.threads;
	if (receivers > receiversMax)
		refuse(
			`--connections ${connections}: they need ${receivers} processes that open ${descriptorsMax} files each, and ${receiversMax} are the most; raise the limit (ulimit -n) or give at most ${receiversMax * clientsMax}`,
		);
	return {
		targets: flags.url.map((target) => secured(target, flags, refuse)),
		connections,
		scenario: flags.scenario,
		protocol,
		channels,
		senders,
		source: flags.source,
		kafkaBrokers: flags.kafkaBrokers ?? null,
		kafkaTopic: flags.kafkaTopic,
		rate: flags.rate,
		bytes: flags.size,
		durationMs: flags.duration,
		holdMs: flags.hold,
		settleMs: flags.settle,
		rampMs: flags.rampTimeout,
		inFlight: flags.inFlight,
		receivers,
		receiversAreProcesses,
		startNodes: flags.nodes,
		start: flags.start === undefined ? null : withClusterFlags(flags.start, protocol),
		jsonPath: flags.json ?? null,
	};
}
