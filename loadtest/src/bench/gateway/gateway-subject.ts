import { scheduled } from "@shardcast/process";
import { cpuMs, freePorts, getJson, ManagedProcess, type ProcessOptions } from "@shardcast/testkit";
import { shardcast } from "./part.ts";

/** The part of GET /health that the bench reads. */
interface Health {
	readonly frames: Readonly<Record<"from_clients" | "to_clients" | "from_backends" | "to_backends", number>>;
	readonly dropped: Readonly<Record<string, number>>;
	readonly acks: { readonly skipped: number };
	readonly latency: { readonly count: number; readonly seconds: number };
}

/** A gateway in its own process, as users run it. */
export class GatewaySubject {
	readonly port: number;
	readonly #process: ManagedProcess;

	private constructor(port: number, process: ManagedProcess) {
		this.port = port;
		this.#process = process;
	}

	static async start(backendPorts: readonly number[], processOptions: Pick<ProcessOptions, "env" | "cpu"> = {}): Promise<GatewaySubject> {
		const port = await freePorts();
		const backends = backendPorts.map((backendPort) => `127.0.0.1:${backendPort}`);
		// The backends of a bench answer no pings.
		const options = ["--monitor-interval", "0", "--log-level", "warn", "--backend-idle-timeout", "24h"];
		const process = await ManagedProcess.start(shardcast, ["gateway", `127.0.0.1:${port}`, ...backends, ...options], processOptions);
		await process.waitForOutput(/shardcast gateway, pid/, 20_000);
		return new GatewaySubject(port, process);
	}

	get pid(): number {
		return this.#process.pid;
	}

	cpuMs(): number {
		return cpuMs(this.pid);
	}

	/** How long its main thread was ready to run and had no CPU; 0 where the kernel does not count that. */
	waitedForCpuMs(): number {
		return scheduled(this.pid).get(String(this.pid))?.waitedMs ?? 0;
	}

	health(): Promise<Health> {
		return getJson<Health>(`http://127.0.0.1:${this.port}/health`);
	}

	async stop(): Promise<void> {
		await this.#process.stop();
	}
}
