import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { BackendKind, Peers } from "./peers.ts";

type Value<Call extends keyof Peers> = Awaited<ReturnType<Peers[Call]>>;

/** A process with backends, and their ports. */
export async function startPeers(kind: BackendKind, backends: number, ends: (() => Promise<void>)[]) {
	const peers = await PeerProcess.start();
	ends.push(() => peers.stop());
	return { peers, ports: await peers.call("listen", { kind, backends }) };
}

/** A process with backends and clients, as the bench sees it. It ends when this process does. */
export class PeerProcess {
	readonly #child: ChildProcess;
	readonly #exited: Promise<never>;

	private constructor(child: ChildProcess) {
		this.#child = child;
		this.#exited = once(child, "exit").then(([code, signal]) => {
			throw new Error(`a process of the bench ended with ${code ?? signal}`);
		});
		this.#exited.catch(() => {});
	}

	static async start(): Promise<PeerProcess> {
		const child = fork(join(import.meta.dirname, "peers-program.js"));
		await once(child, "spawn");
		return new PeerProcess(child);
	}

	get pid(): number {
		return this.#child.pid!;
	}

	/** One call at a time. @throws what it throws there. */
	async call<Call extends keyof Peers>(call: Call, argument?: Parameters<Peers[Call]>[0]): Promise<Value<Call>> {
		const answer = once(this.#child, "message") as Promise<[{ readonly value: Value<Call>; readonly error?: string }]>;
		this.#child.send({ call, argument });
		const [{ value, error }] = await Promise.race([answer, this.#exited]);
		if (error !== undefined) throw new Error(error);
		return value;
	}

	async stop(): Promise<void> {
		if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
		const exited = once(this.#child, "exit");
		this.#child.kill("SIGKILL");
		await exited;
	}
}
