import type { Argument, MessageListener, Outcome, Redis, RedisError } from "@shardcast/redis";

/** Sharded pub/sub of Redis in this process's memory, for the few commands that nodes use. */
export class FakePubSub implements Pick<Redis, "send" | "pipeline" | "subscribe" | "state" | "problem"> {
	state: Redis["state"] = "ready";
	/** Each command fails with it. */
	error: RedisError | null = null;
	readonly #listeners = new Map<string, MessageListener[]>();

	get problem(): string | null {
		return this.error?.message ?? null;
	}

	async subscribe(channel: string, listener: MessageListener): Promise<void> {
		this.#listeners.set(channel, [...(this.#listeners.get(channel) ?? []), listener]);
	}

	async send(_key: string | null, args: readonly Argument[]): Promise<unknown> {
		if (this.error !== null) throw this.error;
		const [command, channel, ...rest] = args;
		if (command === "PUBSUB") return rest.flatMap((each) => [each, (this.#listeners.get(String(each)) ?? []).length]);
		const listeners = this.#listeners.get(String(channel)) ?? [];
		for (const listener of listeners) listener(Buffer.from(rest[0]!));
		return listeners.length;
	}

	async pipeline(commands: readonly { readonly args: readonly Argument[] }[]): Promise<Outcome[]> {
		return Promise.all(
			commands.map(({ args }) =>
				this.send(null, args).then(
					(value): Outcome => ({ value }),
					(error: RedisError): Outcome => ({ error }),
				),
			),
		);
	}
}
