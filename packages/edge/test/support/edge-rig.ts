import { type Config, defaultConfig, loadCertificates } from "@shardcast/config";
import { silentLog } from "@shardcast/telemetry";
import { Scrape, waitFor } from "@shardcast/testkit";
import { Edge } from "../../src/edge.ts";

/** An edge in this process, with short times. `stop` must be called. */
export class EdgeRig {
	readonly edge: Edge;
	readonly port: number;

	private constructor(edge: Edge, port: number) {
		this.edge = edge;
		this.port = port;
	}

	static async start(config: Partial<Config>): Promise<EdgeRig> {
		// A busy machine must not make a node look away.
		const patient = { edgeCheckTimeoutMs: 30_000, edgeConnectTimeoutMs: 30_000 };
		const times = { ...patient, edgeCheckIntervalMs: 100, edgeDrainTimeoutMs: 1 };
		const whole = defaultConfig({ edgeAddr: "127.0.0.1:0", ...times, logLevel: "silent", ...config });
		const { certificates } = loadCertificates(whole, (name) => name);
		const edge = new Edge({ config: whole, certificates, log: silentLog() });
		return new EdgeRig(edge, await edge.start());
	}

	async stop(): Promise<void> {
		await this.edge.drain();
	}

	/** The value of a metric, summed over the lines with these labels. Rejects when there is none. */
	async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
		return new Scrape(await this.edge.metrics()).sum(name, labels);
	}

	/** Waits until this many nodes get clients. */
	async nodesUp(count: number): Promise<void> {
		await waitFor(async () => (await this.metric("shardcast_edge_node_up")) === count, { deadlineMs: 10_000, what: `${count} nodes` });
	}
}
