import { isDeepStrictEqual } from "node:util";
import { type CallOptions, type ChannelOptions, type Config, channelHooks, defaultProxy } from "@shardcast/config";
import { type BackendReading, backendMetrics } from "@shardcast/control";
import { ErrorCode } from "@shardcast/protocol";
import type { Log, ProcessMetrics, Tracer } from "@shardcast/telemetry";
import { Backend } from "../backend/backend.ts";
import type { Commit } from "../lifecycle/feature.ts";
import { type ClientHeaders, keptHeaders, withEmulated } from "./forwarded-headers.ts";
import { Hook } from "./hook.ts";
import type { HookName } from "./hook-results.ts";
import { backendOptions, hookOptions } from "./proxy-options.ts";

type ChannelHookName = keyof typeof channelHooks;

/** Everything that depends on one configuration. */
interface HookSet {
	/** By hook and name of the proxy: `subscribe default`. */
	readonly hooks: ReadonlyMap<string, KeptHook>;
	/** Names, in lower case, of the headers that any backend gets. */
	readonly ofRequest: ReadonlySet<string>;
	readonly emulated: ReadonlySet<string>;
	/** Whether any RPC calls go to a backend. */
	readonly takesCalls: boolean;
	readonly config: Config;
}

interface KeptHook {
	readonly hook: Hook<HookName>;
	readonly proxy: CallOptions;
}

interface Wanted {
	readonly name: HookName;
	readonly proxyName: string;
	readonly proxy: CallOptions;
}

/**
 * The backend of each hook, as of the last reload. Each hook has separate connections, queue and limits: slow answers about publications keep no
 * client from connecting.
 *
 * One owner, the shard's loop. Without any hook, each look-up is one comparison.
 */
export class Hooks {
	readonly #log: Pick<Log, "error">;
	readonly #tracer: Tracer | null;
	#set: HookSet;

	/** @param tracer null = calls are not traced. */
	constructor(config: Config, log: Pick<Log, "error">, tracer: Tracer | null = null) {
		this.#log = log;
		this.#tracer = tracer;
		this.#set = this.#make(config, new Map());
	}

	get connect(): Hook<"connect"> | null {
		return this.#find("connect", defaultProxy);
	}

	get refresh(): Hook<"refresh"> | null {
		return this.#find("refresh", defaultProxy);
	}

	subscribe(options: ChannelOptions): Hook<"subscribe"> | null {
		return this.#ofChannel("subscribe", options);
	}

	publish(options: ChannelOptions): Hook<"publish"> | null {
		return this.#ofChannel("publish", options);
	}

	subRefresh(options: ChannelOptions): Hook<"sub_refresh"> | null {
		return this.#ofChannel("sub_refresh", options);
	}

	/** An error: no backend handles this method; null = nor any other method. */
	rpc(method: string): Hook<"rpc"> | ErrorCode | null {
		if (!this.#set.takesCalls) return null;
		const { rpcNamespaces, rpcNamespaceBoundary: boundary, rpcWithoutNamespace } = this.#set.config;
		const end = boundary === "" ? -1 : method.indexOf(boundary);
		const options = end < 0 ? rpcWithoutNamespace : rpcNamespaces.find(({ name }) => name === method.slice(0, end));
		if (options === undefined) return ErrorCode.methodNotFound;
		return (options.proxyEnabled ? this.#find("rpc", options.proxyName) : null) ?? ErrorCode.notAvailable;
	}

	/** The headers of a client's request that backends may get later. */
	kept(header: (name: string) => string): ClientHeaders {
		return keptHeaders(this.#set.ofRequest, header);
	}

	/** The same, with those of its connect command. */
	withEmulated(headers: ClientHeaders, given: ReadonlyMap<string, string>): ClientHeaders {
		return withEmulated(headers, this.#set.emulated, given);
	}

	measures(metrics: Pick<ProcessMetrics, "addReading">): void {
		metrics.addReading(backendMetrics, () => this.#all.map(readingOf));
	}

	get #all(): readonly Hook<HookName>[] {
		return [...this.#set.hooks.values()].map(({ hook }) => hook);
	}

	/** See `Feature.reload`. Pending calls continue with the options with which they began. */
	prepare(config: Config): Commit {
		const before = this.#set.hooks;
		const next = this.#make(config, before);
		return () => {
			this.#set = next;
			for (const [key, { hook }] of before) if (next.hooks.get(key)?.hook !== hook) hook.backend.retire();
		};
	}

	/** Ends all calls. */
	stop(): void {
		for (const hook of this.#all) hook.backend.stop();
	}

	#ofChannel<H extends ChannelHookName>(name: H, options: ChannelOptions): Hook<H> | null {
		const { enabled, name: proxyName } = channelHooks[name];
		return options[enabled] ? this.#find(name, options[proxyName]) : null;
	}

	#find<H extends HookName>(name: H, proxyName: string): Hook<H> | null {
		const { hooks } = this.#set;
		return hooks.size === 0 ? null : ((hooks.get(keyOf(name, proxyName))?.hook ?? null) as Hook<H> | null);
	}

	#make(config: Config, before: HookSet["hooks"]): HookSet {
		const hooks = new Map<string, KeptHook>();
		for (const wanted of wantedBy(config)) {
			const key = keyOf(wanted.name, wanted.proxyName);
			// Several namespaces may use the same one.
			if (!hooks.has(key)) hooks.set(key, this.#keep(before.get(key), wanted));
		}
		const names = (key: "httpHeaders" | "emulatedHeaders") =>
			new Set([...hooks.values()].flatMap(({ proxy }) => proxy[key].map((name) => name.toLowerCase())));
		const takesCalls = [...hooks.values()].some(({ hook }) => hook.name === "rpc");
		return { hooks, ofRequest: names("httpHeaders"), emulated: names("emulatedHeaders"), takesCalls, config };
	}

	/** The current backend, with its connections, if neither its options nor the files that they name have changed; otherwise a new one that continues its counts. */
	#keep(present: KeptHook | undefined, { name, proxyName, proxy }: Wanted): KeptHook {
		const options = backendOptions(proxyName, proxy);
		const before = present?.hook.backend;
		if (before !== undefined && isDeepStrictEqual([present!.proxy, before.options], [proxy, options])) return present!;
		const backend = new Backend(options, before?.counts);
		return { hook: new Hook(name, backend, hookOptions(proxy), this.#log, this.#tracer), proxy };
	}
}

function readingOf({ name, backend }: Hook<HookName>): BackendReading {
	const { counts, running, waiting, options } = backend;
	const { results, statuses, repeats, passes, histogram } = counts;
	return { hook: name, proxy: options.name, results, statuses, repeats, passes, running, waiting, seconds: histogram };
}

const channelHookEntries = Object.entries(channelHooks) as [ChannelHookName, (typeof channelHooks)[ChannelHookName]][];

const keyOf = (name: HookName, proxyName: string) => `${name} ${proxyName}`;

function wantedBy(config: Config): Wanted[] {
	const wanted: Wanted[] = [];
	const named = (name: HookName, proxyName: string, own: CallOptions) => {
		const proxy = proxyName === defaultProxy ? own : config.proxies.find((each) => each.name === proxyName);
		if (proxy !== undefined) wanted.push({ name, proxyName, proxy });
	};
	for (const name of ["connect", "refresh"] as const) {
		const proxy = config[`${name}Proxy`];
		if (proxy.enabled) wanted.push({ name, proxyName: defaultProxy, proxy });
	}
	for (const options of [config.channelWithoutNamespace, ...config.channelNamespaces])
		for (const [name, { enabled, name: proxyName, own }] of channelHookEntries)
			if (options[enabled]) named(name, options[proxyName], config[own]);
	for (const { proxyEnabled, proxyName } of [config.rpcWithoutNamespace, ...config.rpcNamespaces])
		if (proxyEnabled) named("rpc", proxyName, config.rpcProxy);
	return wanted;
}
