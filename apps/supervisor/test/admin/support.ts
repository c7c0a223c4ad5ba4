import { defaultConfig } from "@shardcast/config";
import type { AdminCall } from "@shardcast/http";
import { AdminService } from "../../src/admin/admin-service.ts";
import type { AdminCluster, Verb } from "../../src/admin/verb.ts";

export type FakeCluster = Omit<AdminCluster, "operations" | "cancel">;

/** A cluster of two shards that only notes what it is asked for. */
export function fakeCluster(changes: Partial<FakeCluster> = {}): FakeCluster & { readonly told: string[] } {
	let config = defaultConfig();
	const told: string[] = [];
	return {
		version: "1.2.3",
		command: "multi",
		workers: "shard",
		pid: 100,
		startedAt: 0,
		address: () => "127.0.0.1:3005",
		config: () => config,
		isStopping: () => false,
		health: () => ({
			status: "degraded",
			reasons: ["shard 1: starting"],
			mode: "handoff",
			connections: 3,
			maxConnections: 20,
			utilisation: 0.15,
			draining: false,
			shards: [0, 1].map((id) => ({
				...{ id, pid: 102 + id, core: id === 0 ? 0 : null, port: 3000 + id, status: id === 0 ? "healthy" : "starting" },
				...{ connections: 3 - 3 * id, max: 10, utilisation: 0.3, restarts: id },
			})),
			balancer: { pid: 101, status: "healthy" },
		}),
		shards: null,
		gateway: null,
		events: () => [],
		tell: (_level, text) => void told.push(text),
		ask: async () => 0 as never,
		setConfig: (next) => {
			config = next;
		},
		reload: async () => ({ options: { result: "applied", text: "configuration reloaded" }, certificates: null, route: null }),
		told,
		...changes,
	};
}

export interface Answered {
	readonly status: number;
	// biome-ignore lint/suspicious/noExplicitAny: JSON, which each test looks into
	readonly body: any;
}

/** A service whose audit lines and errors are noted. */
export function fakeService(cluster: FakeCluster = fakeCluster(), verbs?: readonly Verb[]) {
	const [audit, errors, events]: [string[], string[], string[]] = [[], [], []];
	const service = new AdminService({
		cluster,
		audit: (_fields, text) => audit.push(text),
		onError: (text) => errors.push(text),
		tell: (_level, text) => events.push(text),
		...(verbs !== undefined && { verbs }),
	});
	const call = async (kind: AdminCall["kind"], { query = "", body = "" } = {}): Promise<Answered> => {
		const answer = await service.handle({ kind, query, body, who: "ann (user 0, pid 9)", waitMsMax: 10_000 });
		return { status: answer.status, body: JSON.parse(answer.body) };
	};
	const run = (verb: string, args: object = {}, wait = 5000) => call("run", { body: JSON.stringify({ verb, arguments: args, wait }) });
	return { service, call, run, audit, errors, events };
}
