import { anonymousBytes } from "@shardcast/testkit";
import type { Servers } from "../../servers.ts";

const everyMs = 200;
/** V8 gives back the garbage of a process's start in one step of about 9 MB, at any time in its first minute. */
const givenBackBytes = 4 * 1024 * 1024;

/** What the servers' memory grows by. A process that gives some back meanwhile would hide what the clients take, so it is noticed. */
export class MemoryWatch {
	readonly #servers: Pick<Servers, "processes">;
	readonly #bytesOf: (pid: number) => number;
	readonly #timer: NodeJS.Timeout;
	#last: readonly number[];
	#gaveBack: string | null = null;

	constructor(servers: Pick<Servers, "processes">, bytesOf = anonymousBytes) {
		this.#servers = servers;
		this.#bytesOf = bytesOf;
		this.#last = this.#read();
		this.#timer = setInterval(() => this.bytes(), everyMs);
	}

	/** What gave memory back since the watch began; null = nothing did. */
	get gaveBack(): string | null {
		return this.#gaveBack;
	}

	/** Of all processes now. */
	bytes(): number {
		const now = this.#read();
		for (const [index, { name }] of this.#servers.processes.entries())
			if (this.#last[index]! - now[index]! > givenBackBytes) this.#gaveBack = name;
		this.#last = now;
		return now.reduce((sum, bytes) => sum + bytes, 0);
	}

	stop(): void {
		clearInterval(this.#timer);
	}

	#read(): number[] {
		return this.#servers.processes.map(({ pid }) => this.#bytesOf(pid));
	}
}
