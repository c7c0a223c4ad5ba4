import { type Certificate, type Config, connectionsPerShard, parseAddress } from "@shardcast/config";
import type { StartMessage, Workers } from "@shardcast/control";
import type { GatewaySupervision } from "@shardcast/gateway/cluster";
import type { StartupError } from "@shardcast/process";
import type { ClusterMemory } from "../cluster-memory.ts";
import type { ListeningSocket } from "../listening-socket.ts";
import type { Topology } from "../topology.ts";
import type { Entries } from "./entries.ts";
import { inheritedDescriptors, launch, type Pinning } from "./launch.ts";
import { RestartPolicy } from "./restart-policy.ts";
import type { ChildSpec } from "./supervised-child.ts";

/** Values common to all processes of a cluster. */
export interface ClusterFacts {
	/** A reload replaces it: read it at each use. */
	config: Config;
	/** Likewise. */
	certificates: readonly Certificate[];
	readonly topology: Topology;
	readonly mode: "handoff" | "proxy";
	readonly memory: ClusterMemory;
	readonly workers: Workers;
	/** The balancer's listening socket; null = the balancer opens its own. */
	readonly listening: ListeningSocket | null;
	/** Paths of the programs. */
	readonly entries: Entries;
	/** Null in a cluster of shards. */
	readonly gateway: GatewaySupervision | null;
	/** Returns how to pin a process; `core` is null for the balancer, which may run on any core. */
	readonly pin: (core: number | null) => Pinning;
}

/** Callbacks of all children. */
export interface ChildHooks {
	onReady(name: string, port: number | undefined): void;
	onFailure(error: StartupError): void;
	/** A shard was added or removed. */
	onMembership(): void;
	/** A process does not respond, or responds again. */
	onSilent(name: string, silent: boolean): void;
	/** A process could not apply new options, and keeps the old ones. */
	onNotReloaded(name: string, problem: string): void;
	/** A process has died. */
	onDeath(name: string): void;
	/** Called when a shard serves. */
	onShardServes(slot: number): void;
	/** Called when a shard's process has ended and its shared memory was cleaned up. @param isPlanned it was stopped, or is being replaced. */
	onShardGone(slot: number, isPlanned: boolean): void;
	/** Answers a child's question to all processes. */
	answer(question: string, request: unknown): Promise<unknown>;
}

/** Of a shard, or of a process of a gateway. */
export function shardSpec(facts: ClusterFacts, hooks: ChildHooks, slot: number, core: number): ChildSpec {
	const { memory } = facts;
	const name = `${facts.workers} ${slot}`;
	const pinning = facts.pin(core);
	const pinnedTo = pinning.kind === "none" ? null : core;
	const predecessors = memory.board.row(slot).incarnation;
	return {
		...common(name, facts, hooks),
		predecessors,
		launch: () => launch(facts.entries.worker, pinning, memory.handoffDescriptors(slot)),
		prepare: (incarnation, pid) => {
			const { config } = facts;
			const connectionsMax = connectionsPerShard(config, memory.takers);
			memory.shardStarts(slot, {
				incarnation,
				// Not those of a shard that had the slot before and was removed.
				restarts: incarnation - predecessors - 1,
				pid,
				core: pinnedTo,
				port: facts.workers === "shard" ? config.basePort + slot : 0,
				connectionsMax,
			});
			return startMessage(facts, { role: "shard", slot, incarnation, core: pinnedTo, connectionsMax });
		},
		lastBeatMs: () => memory.shardBeatMs(slot),
		connections: () => memory.shardConnections(slot),
		onReady: (port) => {
			hooks.onReady(name, port);
			hooks.onMembership();
			hooks.onShardServes(slot);
		},
		onDeath: (isPlanned) => {
			memory.shardDied(slot);
			hooks.onShardGone(slot, isPlanned);
			if (!isPlanned) hooks.onDeath(name);
			hooks.onMembership();
		},
	};
}

export const balancerName = "balancer";

export function balancerSpec(facts: ClusterFacts, hooks: ChildHooks): ChildSpec {
	const { memory } = facts;
	const pinning = facts.pin(null);
	let port: number | undefined;
	return {
		...common(balancerName, facts, hooks),
		predecessors: 0,
		launch: () => launch(facts.entries.balancer, pinning, balancerDescriptors(facts)),
		prepare: (incarnation, pid) => {
			memory.balancerStarts(incarnation, pid);
			// The balancer is not a member of the bus, so it has no slot.
			const own = { role: "balancer", slot: -1, incarnation, core: null, connectionsMax: facts.config.maxConnections } as const;
			return startMessage({ ...facts, config: withPort(facts.config, port) }, own);
		},
		lastBeatMs: () => memory.balancerBeatMs(),
		connections: () => memory.balancerPending(),
		onReady: (served) => {
			port = served;
			hooks.onReady(balancerName, served);
		},
		onDeath: (isPlanned) => {
			memory.balancerDied();
			if (!isPlanned) hooks.onDeath(balancerName);
		},
	};
}

/** With port 0, the kernel has chosen one for the first balancer. Clients know that one, so a later balancer takes it again. */
function withPort(config: Config, served: number | undefined): Config {
	if (served === undefined || parseAddress(config.lbAddr).port !== 0) return config;
	return { ...config, lbAddr: `${config.lbAddr.slice(0, config.lbAddr.lastIndexOf(":"))}:${served}` };
}

/** What the balancer inherits, in the order of its start message. */
function balancerDescriptors({ memory, listening }: ClusterFacts): number[] {
	const own = [memory.leftDescriptor, listening?.descriptor ?? null];
	return [...memory.handoffDescriptors(), ...own.filter((descriptor) => descriptor !== null)];
}

function common(name: string, facts: ClusterFacts, hooks: ChildHooks) {
	return {
		name,
		timeouts: () => facts.config,
		policy: new RestartPolicy(() => facts.config),
		answer: (question: string, request: unknown) => hooks.answer(question, request),
		onFailure: (error: StartupError) => hooks.onFailure(error),
		onSilent: (silent: boolean) => hooks.onSilent(name, silent),
		onNotReloaded: (problem: string) => hooks.onNotReloaded(name, problem),
	};
}

function startMessage(
	{ config, certificates, memory, mode, workers, gateway, listening }: ClusterFacts,
	own: Pick<StartMessage, "role" | "slot" | "incarnation" | "core" | "connectionsMax">,
): StartMessage {
	const isBalancer = own.role === "balancer";
	const handoffs = memory.handoffDescriptors(isBalancer ? undefined : own.slot).length;
	const hasLeft = isBalancer && memory.leftDescriptor !== null;
	const listens = isBalancer && listening !== null;
	const inherited = inheritedDescriptors(handoffs + (hasLeft ? 1 : 0) + (listens ? 1 : 0));
	return {
		type: "start",
		...own,
		cluster: memory.path,
		config,
		certificates,
		mode,
		handoffDescriptors: inherited.slice(0, handoffs),
		leftDescriptor: hasLeft ? inherited[handoffs]! : null,
		listenDescriptor: listens ? inherited.at(-1)! : null,
		workers,
		backends: gateway?.places ?? [],
		shardsTotal: memory.board.slots().length,
	};
}
