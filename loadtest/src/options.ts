import { availableParallelism } from "node:os";
import { parseBytes, parseDuration } from "@shardcast/config";
import { openFilesLimit } from "@shardcast/process";
import { Command, CommanderError, Option } from "commander";
import type { GeneratorPlace } from "./audience.ts";
import {
	addresses,
	certificateAuthority,
	checked,
	defaulted,
	generatorPlace,
	headers,
	rate,
	rateMax,
	startFlags,
	thresholds,
	urls,
	whole,
} from "./option-parsers.ts";
import { portsOfOneAddress } from "./ports.ts";
import { type ProtocolKind, protocolKinds, withClusterFlags } from "./protocols/protocol-kinds.ts";
import { parseStages } from "./stages/parse-stages.ts";
import { clientsOpened, cornersOf, highest, lasting, messagesIn, type Stage, totalMs } from "./stages/stages.ts";
import { notLocal, parseTarget, type Target } from "./target.ts";
import { type SourceKind, sourceKinds } from "./thread/source-kinds.ts";
import { figures } from "./thresholds/figures.ts";
import type { Threshold } from "./thresholds/threshold.ts";

const scenarios = ["broadcast", "channels"] as const;
type Scenario = (typeof scenarios)[number];

export interface LoadTestOptions {
	/** The nodes to load: at least one. */
	readonly targets: readonly Target[];
	/** Over all nodes; with stages, all that are ever opened. */
	readonly connections: number;
	/** Clients over time; null = all are opened before messages are sent, and stay. */
	readonly clientStages: readonly Stage[] | null;
	/** Messages per second over time; null = always `rate`. */
	readonly rateStages: readonly Stage[] | null;
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
	/** As asked for, or because there are more connections than one process may have open: each receiver is a process. */
	readonly receiversAreProcesses: boolean;
	/** Nodes of the test's own cluster, which share a Redis when there are several. */
	readonly startNodes: number;
	/** Flags of `shardcast multi` for a cluster of the test's own; null = load what runs at the target. */
	readonly start: readonly string[] | null;
	/** This load test is one of several that load the same servers. */
	readonly generator: GeneratorPlace;
	/** Sent with each request. */
	readonly headers: Readonly<Record<string, string>>;
	/** Source addresses of connections; null = loopback addresses, or the kernel's choice. */
	readonly sourceAddresses: readonly string[] | null;
	readonly thresholds: readonly Threshold[];
	readonly jsonPath: string | null;
	readonly csvPath: string | null;
	readonly htmlPath: string | null;
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
const connectionsMax = 1_000_000;
const receiversMax = 64;
const startNodesMax = 16;
const defaultUrl = "ws://127.0.0.1:3005";
const defaultTargets: readonly Target[] = [parseTarget(defaultUrl)];

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
	allowRemote?: boolean;
	header?: [string, string][];
	sourceAddress?: string[];
	connections: number;
	ramp?: Stage[];
	rampRate?: Stage[];
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
	processes?: number;
	generator?: GeneratorPlace;
	failIf?: Threshold[];
	json?: string;
	csv?: string;
	html?: string;
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
			"Opens WebSockets to a cluster, sends messages and checks that every client gets each exactly once, in order. `merge --help` puts the results of several load tests together.",
		)
		.addOption(
			new Option("--url <url>", "server to load; several nodes as a list with commas, or repeat the flag")
				.argParser(urls(defaultTargets))
				.default(defaultTargets, defaultUrl),
		)
		.option("--insecure", "for wss://: the server's certificate is not checked")
		.option("--ca <file>", "for wss://: certificate authority of the server's certificate, in PEM", certificateAuthority)
		.option("--allow-remote", "the servers may be other machines: they are yours, and may be loaded")
		.option("--header <header>", 'sent with each request ("Authorization: Bearer …"); may be repeated', headers)
		.option("--source-address <list>", "addresses of this machine to connect from, in turn", addresses)
		.addOption(
			new Option("--start <flags>", 'start a cluster with these flags of `shardcast multi` ("--shards 2"), load it, stop it')
				.argParser(startFlags)
				.conflicts("url"),
		)
		.addOption(
			defaulted("--nodes <n>", "with --start: nodes to start, which share a Redis of the test's own", whole(1, startNodesMax), "1"),
		)
		.addOption(defaulted("--connections <n>", "clients, over all nodes", whole(2, connectionsMax), "12000"))
		.addOption(
			new Option("--ramp <stages>", "clients over time, while messages are sent: 0-1000:30s,1000:60s,1000-0:10s")
				.argParser(checked((text) => parseStages(text, { what: "clients", max: connectionsMax, whole: true })))
				.conflicts(["connections", "duration"]),
		)
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
		.addOption(
			new Option("--ramp-rate <stages>", "messages per second over time: 10-500:1m,500:2m")
				.argParser(checked((text) => parseStages(text, { what: "messages per second", max: rateMax, whole: false })))
				.conflicts(["rate", "duration"]),
		)
		.addOption(defaulted("--size <bytes>", "payload of a message (128, 4KiB)", checked(parseBytes), "128"))
		.addOption(defaulted("--duration <time>", "how long to send", duration, "30s"))
		.addOption(defaulted("--hold <time>", "pause between opening and sending", duration, "2s"))
		.addOption(defaulted("--settle <time>", "how long to wait for missing messages while none arrives", duration, "5s"))
		.addOption(defaulted("--ramp-timeout <time>", "how long opening all connections may take, with --ramp each one", duration, "60s"))
		.addOption(defaulted("--in-flight <n>", "connections being opened at the same time", whole(1, 10_000), "256"))
		.addOption(defaulted("--threads <n>", "threads that receive", whole(1, receiversMax), String(Math.min(4, availableParallelism()))))
		.addOption(
			new Option("--processes <n>", "processes that receive, instead of threads").argParser(whole(1, receiversMax)).conflicts("threads"),
		)
		.option(
			"--generator <i/n>",
			"this is one of n load tests of the same servers at the same time, usually on other machines",
			generatorPlace,
		)
		.option(
			"--fail-if <threshold>",
			`exit status 3 when true: 'p99>50ms', 'loss>0.1%', 'throughput<1000/s'; may be repeated. Figures: ${Object.keys(figures).join(", ")}`,
			thresholds,
		)
		.option("--json <file>", "write the result there as JSON")
		.option("--csv <file>", "write a line for each second there")
		.option("--html <file>", "write a report with charts there, as one page that needs no network")
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

/** The target with what the flags say of its certificate. */
function secured(target: Target, { insecure = false, ca }: Pick<Flags, "insecure" | "ca">, refuse: (problem: string) => never): Target {
	const { tls } = target;
	if (tls === null && (insecure || ca !== undefined)) refuse(`${insecure ? "--insecure" : "--ca"}: the URL has no certificate; use wss://`);
	return tls === null ? target : { ...target, tls: { ...tls, verify: !insecure, ca: ca ?? null } };
}

/** What no flag alone can tell. */
function conclude(flags: Flags, descriptorsMax: number): LoadTestOptions {
	const { channelSize, protocol } = flags;
	const refuse = (problem: string): never => {
		throw new UsageError(`error: ${problem}`);
	};
	const stages = stagesOf(flags, refuse);
	/** At the same time. */
	const clients = stages.clients === null ? flags.connections : highest(stages.clients);
	const given = stages.clients === null ? `--connections ${clients}` : `--ramp: ${clients} clients`;
	if (clients < 2) refuse(`--ramp: there are never more than ${clients} clients; one to send and one to receive are the fewest`);
	const channels = flags.scenario === "broadcast" ? Number(protocolKinds[protocol].needsChannel) : Math.floor(clients / (channelSize + 1));
	if (flags.scenario === "channels" && channels === 0)
		refuse(`${given} fill no channel: at least ${channelSize + 1} are needed for --channel-size ${channelSize}`);
	const senders = flags.senders ?? Math.max(1, channels);
	const { bytesMin } = protocolKinds[protocol].create().payload;
	if (sourceKinds[flags.source].sendersListen && senders >= clients)
		refuse(`--senders ${senders} leaves no client that only receives; give fewer, or more --connections`);
	if (flags.size < bytesMin || flags.size > messageBytesMax)
		refuse(`--size ${flags.size}: a message has ${bytesMin} to ${messageBytesMax} bytes`);
	if (flags.source === "kafka" && flags.kafkaBrokers === undefined && flags.start === undefined)
		refuse("--source kafka: name the brokers of the loaded cluster with --kafka-brokers, or start a cluster with --start");
	if (flags.duration <= 0) refuse("--duration 0: nothing would be sent; give 1s or more");
	if (flags.nodes > 1 && flags.start === undefined)
		refuse(`--nodes ${flags.nodes}: give --start too, or name each running node with --url`);
	const remote = flags.url.find(({ isLocal }) => !isLocal);
	if (remote !== undefined && flags.allowRemote !== true) refuse(`--url: ${remote.host} ${notLocal}`);
	if (flags.allowRemote === true && remote === undefined) refuse("--allow-remote: each --url is on this machine; leave it out");
	const senderClients = sourceKinds[flags.source].sendersListen ? senders : 0;
	const clientsMax = descriptorsMax - descriptorsKept;
	if (senderClients > clientsMax)
		refuse(`--senders ${senders}: one process may open ${descriptorsMax} files; raise the limit (ulimit -n) or give at most ${clientsMax}`);
	const ports = portsOfOneAddress() * (flags.sourceAddress?.length ?? 1);
	if (remote !== undefined && clients / flags.url.length > ports)
		refuse(
			`${given}: from one address, this machine has ${portsOfOneAddress()} ports to connect to one server (net.ipv4.ip_local_port_range); name more addresses of it with --source-address, or run several load tests with --generator`,
		);
	const receiversAreProcesses = flags.processes !== undefined || clients > clientsMax;
	const wanted = flags.processes ?? flags.threads;
	const receivers = receiversAreProcesses ? Math.max(wanted, Math.ceil((clients - senderClients) / clientsMax)) : wanted;
	if (receivers > receiversMax)
		refuse(
			`${given}: they need ${receivers} processes that open ${descriptorsMax} files each, and ${receiversMax} are the most; raise the limit (ulimit -n) or give at most ${receiversMax * clientsMax}`,
		);
	// The senders are there from the start; each other client has one life.
	const opened = (corners: readonly number[]): number =>
		senderClients + clientsOpened(corners.map((count) => Math.max(0, count - senderClients)));
	const connections = stages.clients === null ? clients : opened(cornersOf(stages.clients));
	if (connections > connectionsMax)
		refuse(`--ramp: it opens ${connections} clients one after the other, and ${connectionsMax} are the most`);
	const connectRate = flags.failIf?.find(({ figure }) => figure === "connect-rate");
	if (stages.clients !== null && connectRate !== undefined)
		refuse(`--fail-if ${connectRate.text}: with --ramp the stages say how many connect in a second; leave one of the two out`);
	return {
		targets: flags.url.map((target) => secured(target, flags, refuse)),
		connections,
		clientStages: stages.clients,
		rateStages: stages.rate,
		scenario: flags.scenario,
		protocol,
		channels,
		senders,
		source: flags.source,
		kafkaBrokers: flags.kafkaBrokers ?? null,
		kafkaTopic: flags.kafkaTopic,
		rate: flags.rate,
		bytes: flags.size,
		durationMs: stages.durationMs,
		holdMs: flags.hold,
		settleMs: flags.settle,
		rampMs: flags.rampTimeout,
		inFlight: flags.inFlight,
		receivers,
		receiversAreProcesses,
		startNodes: flags.nodes,
		start: flags.start === undefined ? null : withClusterFlags(flags.start, protocol),
		generator: flags.generator ?? { index: 0, count: 1 },
		headers: Object.fromEntries(flags.header ?? []),
		sourceAddresses: flags.sourceAddress ?? null,
		thresholds: flags.failIf ?? [],
		jsonPath: flags.json ?? null,
		csvPath: flags.csv ?? null,
		htmlPath: flags.html ?? null,
	};
}

/** Stages of clients and of the rate last equally long: the shorter ones hold their last value. */
function stagesOf({ ramp, rampRate, duration }: Flags, refuse: (problem: string) => never) {
	const stages = [ramp, rampRate].filter((given) => given !== undefined);
	const durationMs = stages.length === 0 ? duration : Math.max(...stages.map(totalMs));
	const clients = ramp === undefined ? null : lasting(ramp, durationMs);
	const rateStages = rampRate === undefined ? null : lasting(rampRate, durationMs);
	if (rateStages !== null && messagesIn(rateStages) === 0) refuse("--ramp-rate: nothing would be sent; give a higher rate or more time");
	return { clients, rate: rateStages, durationMs };
}
