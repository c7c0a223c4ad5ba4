import { type ProcessUsage, type ServerProcess, Servers, type ShardConnections } from "./servers.ts";
import type { Target } from "./target.ts";

/** The processes of all nodes under load. With several nodes each has its node's address in its name. */
export class NodeServers {
	readonly nodes: readonly Servers[];
	readonly #names: readonly string[];

	private constructor(nodes: readonly Servers[], names: readonly string[]) {
		this.nodes = nodes;
		this.#names = names;
	}

	/** @throws as `Servers.find`. */
	static async find(targets: readonly Target[]): Promise<NodeServers> {
		const nodes = await Promise.all(targets.map(({ httpUrl, isLocal }) => Servers.find(httpUrl, isLocal)));
		return new NodeServers(nodes, targets.length === 1 ? [""] : targets.map(({ name, port }) => `${name}:${port} `));
	}

	/** Of the shards of all nodes, one node after the other. */
	async shardConnections(): Promise<ShardConnections[]> {
		return (await Promise.all(this.nodes.map((servers) => servers.shardConnections()))).flat();
	}

	/** Whether any process of a server is on this machine. */
	get areKnown(): boolean {
		return this.nodes.some(({ processes }) => processes.length > 0);
	}

	/** Null when a process has ended meanwhile: what it used is not known any more. */
	cpuMsOrNull(): number | null {
		if (!this.areKnown) return null;
		try {
			return this.cpuMs();
		} catch {
			return null; // it died under the load; `usageSince` says so
		}
	}

	cpuMs(): number {
		return this.nodes.reduce((sum, servers) => sum + servers.cpuMs(), 0);
	}

	cpuMsByProcess(): number[][] {
		return this.nodes.map((servers) => servers.cpuMsByProcess());
	}

	/** By node; 0 for one whose processes are not known. */
	pssBytes(): number[] {
		return this.nodes.map((servers) => servers.pssBytes());
	}

	/** CPU time since `before` and memory now, by node. */
	usageSince(before: readonly (readonly number[])[]): { usage: ProcessUsage[]; gone: ServerProcess[] }[] {
		return this.nodes.map((servers, node) => {
			const { usage, gone } = servers.usageSince(before[node]);
			const named = <P extends ServerProcess>(process: P): P => ({ ...process, name: `${this.#names[node]}${process.name}` });
			return { usage: usage.map(named), gone: gone.map(named) };
		});
	}
}
