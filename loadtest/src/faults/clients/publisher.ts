import { httpRequest } from "@shardcast/testkit";

/** A number whose publication is acknowledged. */
export interface NumberedSource {
	readonly channel: string;
	/** The last number that was acknowledged; -1 = none. */
	readonly acknowledged: number;
	stop(): Promise<void>;
}

/** Publishes 0, 1, 2, … over HTTP, and repeats each with its idempotency key until it is acknowledged. */
export class HttpPublisher implements NumberedSource {
	readonly channel: string;
	acknowledged = -1;
	/** Publications that had to be sent again. */
	repeats = 0;
	/** Statuses other than 200, and errors, by text. */
	readonly failures = new Map<string, number>();
	readonly #httpUrl: string;
	readonly #everyMs: number;
	readonly #done: Promise<void>;
	#isStopped = false;

	constructor(httpUrl: string, channel: string, everyMs: number) {
		this.#httpUrl = httpUrl;
		this.channel = channel;
		this.#everyMs = everyMs;
		this.#done = this.#publish();
	}

	async stop(): Promise<void> {
		this.#isStopped = true;
		await this.#done;
	}

	async #publish(): Promise<void> {
		for (let number = 0; !this.#isStopped; number++) {
			while (!(await this.#once(number))) {
				if (this.#isStopped) return;
				this.repeats++;
				await pause(100);
			}
			this.acknowledged = number;
			await pause(this.#everyMs);
		}
	}

	async #once(number: number): Promise<boolean> {
		try {
			const body = JSON.stringify({ channel: this.channel, data: number, idempotency_key: `${this.channel}:${number}` });
			const headers = { "content-type": "application/json" };
			const answer = await httpRequest(`${this.#httpUrl}/api/publish`, { method: "POST", headers, body, deadlineMs: 2_000 });
			const failed = answer.status !== 200 || (JSON.parse(answer.body) as { error?: object }).error !== undefined;
			if (failed) this.#failed(`${answer.status} ${answer.body.slice(0, 100)}`);
			return !failed;
		} catch (error) {
			this.#failed((error as NodeJS.ErrnoException).code ?? (error as Error).message.slice(0, 100));
			return false;
		}
	}

	#failed(what: string): void {
		if (this.failures.size < 50 || this.failures.has(what)) this.failures.set(what, (this.failures.get(what) ?? 0) + 1);
	}
}

function pause(ms: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, ms));
}
