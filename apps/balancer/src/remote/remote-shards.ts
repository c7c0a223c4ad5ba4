import { addressBytes, type Config, parseRemoteShard, readRemoteTls } from "@shardcast/config";
import type { RemoteReading, RemoteReport } from "@shardcast/control";
import { type EdgeNode, EdgeNodes, type KnownNode, type NodeSource } from "@shardcast/edge/nodes";
import { proxyHeader } from "@shardcast/http";
import { type TargetFailure, type TargetLink, TargetTls } from "@shardcast/relay";
import type { RemoteShardHealth } from "@shardcast/scoreboard";
import type { Log } from "@shardcast/telemetry";
import { RemoteRow } from "./remote-row.ts";

export type RemoteConfig = Pick<
	Config,
	| "remoteShards"
	| "remoteConnectTimeoutMs"
	| "remoteIdleTimeoutMs"
	| "remoteCheckIntervalMs"
	| "remoteCheckTimeoutMs"
	| "remoteCheckMisses"
	| "remoteSendProxy"
	| "remoteTls"
	| "remoteTlsCa"
	| "remoteTlsName"
>;

interface RemoteShardsParts {
	readonly config: RemoteConfig;
	/** Remote shards get numbers from here on. */
	readonly firstSlot: number;
	/** Called when one is lost, and after each further check of it: what it has not answered should go to another one. */
	readonly onLost: () => void;
	/** Gets how they are whenever that changes, connections at most once a second. Never rejects. */
	readonly report: (report: RemoteReport) => void;
	readonly log: Pick<Log, "info" | "warn">;
}

const reportMs = 1000;
/** The log tells at most so often that a remote shard does not serve WebSockets. */
const unservedMs = 60_000;
/** A shard there may wait 5 s for its turn, and 3 s for the keys of a token. */
const answerMs = 10_000;

const hints = {
	tls: "set --remote-tls here",
	proxyHeader: "set --remote-send-proxy here, and this machine in --trusted-proxies there",
	certificate: "--remote-tls-ca and --remote-tls-name",
	edge: "a shard: name the machines themselves",
};

/**
 * The shards of `--remote-shards`: the checks that an edge makes of its nodes, and what the picker needs. They see no bus and no descriptor of this
 * machine: connections are passed on to them, and nothing else. One owner; bound: as many as the option allows.
 */
export class RemoteShards {
	/** How connections to them are made. */
	readonly link: TargetLink;
	readonly #parts: RemoteShardsParts;
	readonly #nodes: EdgeNodes;
	readonly #source: ListedShards;
	#list: readonly RemoteRow[] = [];
	#nextSlot: number;
	#changes = 0;
	/** See `losesOne`. */
	#losesOne = false;
	#idleClosed = 0;
	#events: RemoteReport["events"][number][] = [];
	#reported = "";
	#reportedMs = Number.NEGATIVE_INFINITY;

	constructor(parts: RemoteShardsParts) {
		const { config } = parts;
		this.#parts = parts;
		this.#nextSlot = parts.firstSlot;
		this.#source = new ListedShards(config.remoteShards);
		const read = readRemoteTls(config);
		// The options have been checked.
		if (read !== null && "problem" in read) throw new Error(`--remote-tls-ca ${read.problem.text}`);
		const tls = read === null ? null : new TargetTls(read);
		const sendProxy = config.remoteSendProxy;
		this.link = {
			tls,
			// It is for shards of this machine: others must not be able to pretend to be this balancer.
			token: null,
			preface: sendProxy ? (address) => proxyHeader(addressBytes(address), "") : null,
			isLastHop: true,
			dialMs: config.remoteConnectTimeoutMs,
			answerMs,
			idleMs: config.remoteIdleTimeoutMs,
			onIdle: () => this.#idleClosed++,
		};
		this.#nodes = new EdgeNodes({
			source: this.#source,
			checkIntervalMs: config.remoteCheckIntervalMs,
			check: { sendProxy, tls, timeoutMs: config.remoteCheckTimeoutMs, ofShards: true, hints },
			missesMax: config.remoteCheckMisses,
			toldForMs: 0,
			onLost: () => {
				this.#losesOne = true;
				parts.onLost();
				this.#losesOne = false;
			},
			onTold: (node, problem, before) => this.#tell(node, problem, before),
			onLeft: (node) => {
				this.#note(
					"info",
					{ remote: node.id, state: "removed" },
					`remote shard ${node.id} was removed from the list: its connections go on`,
				);
			},
		});
	}

	/** Grows whenever there are others. */
	get changes(): number {
		return this.#changes;
	}

	/** One was just found to be lost, or still to be: what it has not answered may go to another one. */
	get losesOne(): boolean {
		return this.#losesOne;
	}

	get rows(): readonly RemoteRow[] {
		return this.#list;
	}

	get states(): readonly RemoteShardHealth[] {
		return this.rows.map(stateOf);
	}

	get readings(): RemoteReading {
		const shards = this.rows.map(({ remote, proxiedOpen }) => ({
			...{ id: remote.id, open: proxiedOpen, weight: remote.known.weight, assigned: remote.assigned, checks: remote.checks },
			isUp: remote.problem === null && remote.known.weight > 0,
		}));
		return { shards, idleClosed: this.#idleClosed };
	}

	start(): void {
		this.#nodes.start();
		this.#takeUp();
	}

	stop(): void {
		this.#nodes.stop();
	}

	/** Names others, or gives them other weights. */
	use({ remoteShards }: Pick<RemoteConfig, "remoteShards">): void {
		this.#source.use(remoteShards);
		this.#takeUp();
		this.#report(true);
	}

	look(nowMs: number): void {
		for (const row of this.#list) row.look(nowMs);
	}

	/** Call it at each heartbeat. */
	tick(): void {
		for (const row of this.#list) this.#tellUnserved(row);
		this.#report(false);
	}

	/** It has not served a connection: it is asked at once how it is. */
	failed({ remote }: RemoteRow, failure: TargetFailure): void {
		remote.onFailed(failure, performance.now());
		this.#nodes.suspect(remote);
	}

	#takeUp(): void {
		this.#changes++;
		const known = new Map(this.#list.map((row) => [row.remote, row]));
		this.#list = this.#nodes.all.map((node) => known.get(node) ?? new RemoteRow(this.#nextSlot++, node));
	}

	#tell({ id, known }: EdgeNode, problem: string | null, before: string | null | undefined): void {
		const isFirst = before === undefined;
		if (problem === null) this.#note("info", { remote: id, state: "up" }, `remote shard ${id} gets clients, weight ${known.weight}`);
		else if (before === null || isFirst)
			this.#note("warn", { remote: id, state: "down", problem }, `remote shard ${id} gets no new clients: it ${problem}`);
	}

	/** Its /health may be good all the while. */
	#tellUnserved(row: RemoteRow): void {
		const nowMs = performance.now();
		const { unserved, remote } = row;
		if (unserved === 0 || nowMs - row.unservedToldMs < unservedMs) return;
		row.unserved = 0;
		row.unservedToldMs = nowMs;
		const what = `${unserved} ${unserved === 1 ? "WebSocket" : "WebSockets"}`;
		const text = `remote shard ${remote.id} answered ${what} with a status such as 503 or 404, not in time, or not in HTTP: other shards were tried`;
		this.#note("warn", { remote: remote.id, state: "refuses", unserved }, text);
	}

	#note(level: "info" | "warn", fields: object, text: string): void {
		this.#parts.log[level]({ audit: "remote_shard", ...fields }, text);
		this.#events.push({ level, text });
		this.#report(true);
	}

	#report(isUrgent: boolean): void {
		const nowMs = performance.now();
		if (!isUrgent && nowMs - this.#reportedMs < reportMs) return;
		this.#reportedMs = nowMs;
		const { states } = this;
		const text = JSON.stringify(states);
		if (text === this.#reported && this.#events.length === 0) return;
		this.#reported = text;
		const events = this.#events;
		this.#events = [];
		this.#parts.report({ states, events });
	}
}

function stateOf({ remote, connections, connectionsMax: max, proxiedOpen: open }: RemoteRow): RemoteShardHealth {
	const { id, known, problem, isDraining, isUnknown } = remote;
	const { weight } = known;
	const figures = { connections, max, open, weight };
	if (isUnknown) return { id, status: "starting", reason: "has not answered yet", ...figures };
	if (problem !== null && !isDraining) return { id, status: "unavailable", reason: problem, ...figures };
	if (isDraining) return { id, status: "draining", reason: "is draining", ...figures };
	if (weight === 0) return { id, status: "draining", reason: "gets no new clients: its weight is 0", ...figures };
	return { id, status: "healthy", ...figures };
}

/** Those that the option names. */
class ListedShards implements NodeSource {
	readonly about = "remote shards";
	readonly isLooking = false;
	readonly problem = null;
	#nodes: readonly KnownNode[];
	#onChange: () => void = () => {};

	constructor(items: readonly string[]) {
		this.#nodes = items.map(known);
	}

	get nodes(): readonly KnownNode[] {
		return this.#nodes;
	}

	use(items: readonly string[]): void {
		this.#nodes = items.map(known);
		this.#onChange();
	}

	start(onChange: () => void): void {
		this.#onChange = onChange;
		onChange();
	}

	stop(): void {}
}

function known(item: string): KnownNode {
	const { text, host, port, weight } = parseRemoteShard(item);
	return { id: text, host, port, region: "", weight, told: null };
}
